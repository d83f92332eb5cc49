"""Root starts `qmailfork listen --handoff`, and it serves as somebody else: whose socket it is then."""

import os
import pwd
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import serve
from tests.supervisors import open_directory
from tests.support import QmailHome, build_fakes, build_handoff, qmailfork, running, wait_for

NOBODY = pwd.getpwnam("nobody")
AS_NOBODY = ["setuidgid", "nobody"]

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def place() -> Iterator[QmailHome]:
    with open_directory() as path:
        yield QmailHome(path / "qmail", build_fakes(path / "fakes"))


def started(place: QmailHome, *options: str, **more: str) -> tuple[list[str], dict[str, str], Path]:
    path = place.path / "socket"
    return qmailfork("listen", "--workers", "1", *options, "--handoff", str(path)), place.environment(**more), path


def reached_by_nobody(place: QmailHome, argv: list[str], env: dict[str, str], path: Path) -> None:
    """A session that tcpserver's user hands over is served, and the socket is that user's alone."""
    program = build_handoff(place.path)
    with (place.path / "log").open("wb") as log, running(argv, env=env, stderr=log):
        wait_for(path.exists, what="the socket")
        found = path.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (NOBODY.pw_uid, 0o600)
        with serve([*AS_NOBODY, str(program), str(path)], place, place.environment()) as talk:
            assert talk.client.reply() == [b"220 mail.joedomain.net ESMTP"], (place.path / "log").read_text()


def test_it_is_the_users_of_u(place: QmailHome) -> None:
    argv, env, path = started(place, "-u", str(NOBODY.pw_uid), "-g", str(NOBODY.pw_gid))
    reached_by_nobody(place, argv, env, path)


def test_it_is_the_users_of_the_environment(place: QmailHome) -> None:
    argv, env, path = started(place, "-U", UID=str(NOBODY.pw_uid), GID=str(NOBODY.pw_gid))
    reached_by_nobody(place, argv, env, path)


def test_another_user_who_comes_to_it_is_refused(place: QmailHome) -> None:
    argv, env, path = started(place)
    with (place.path / "log").open("wb") as log, running(argv, env=env, stderr=log):
        wait_for(path.exists, what="the socket")
        path.chmod(0o666)
        connect = [*AS_NOBODY, "/usr/bin/python3", "-c", "import socket, sys\n"
                   "client = socket.socket(socket.AF_UNIX)\nclient.connect(sys.argv[1])\n"
                   "client.settimeout(5)\nsys.exit(len(client.recv(1)))", str(path)]  # fmt: skip
        assert subprocess.run(connect, check=False).returncode == 0
        assert f"hand-off by user {NOBODY.pw_uid} refused" in (place.path / "log").read_text()


def test_without_u_it_is_roots(place: QmailHome) -> None:
    argv, env, path = started(place)
    with running(argv, env=env, stderr=subprocess.DEVNULL):
        wait_for(path.exists, what="the socket")
        assert path.stat().st_uid == 0
        connect = [*AS_NOBODY, "/usr/bin/python3", "-c", "import socket, sys\n"
                   "try:\n socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
                   "except PermissionError:\n sys.exit(7)", str(path)]  # fmt: skip
        assert subprocess.run(connect, check=False).returncode == 7
        with socket.socket(socket.AF_UNIX) as root:
            root.connect(str(path))
