"""What reaches the hand-off's socket and is no hand-off: it is let go, and others are served."""

import errno
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from qmailfork.drivers.worker.handoff import PATIENCE
from tests.servers import serve
from tests.support import QmailHome, build_handoff, qmailfork, running, smtpd, wait_for


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_handoff(tmp_path_factory.mktemp("handoff"))


@contextmanager
def gate(home: QmailHome, *options: str) -> Iterator[Path]:
    """A listener at a Unix socket, with one worker."""
    path = home.path / "socket"
    argv = qmailfork("listen", "--workers", "1", *options, "--handoff", str(path))
    with (home.path / "listener.log").open("wb") as log, running(argv, env=home.environment(), stderr=log):
        wait_for(path.exists, what="the socket")
        yield path


def brought(path: Path, octets: bytes, descriptors: Sequence[int] = (0, 1, 2), ends: bool = False) -> bytes:
    """What is answered to a client that sends these octets and descriptors of its own, before the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE - 1)  # after that the rest would have been waited for
        sock.connect(str(path))
        socket.send_fds(sock, [octets], descriptors)
        if ends:
            sock.shutdown(socket.SHUT_WR)
        return sock.recv(1)


def greeted(home: QmailHome, program: Path, path: Path) -> bool:
    with serve([str(program), str(path)], home, home.environment()) as talk:
        return talk.client.reply() == [b"220 mail.joedomain.net ESMTP"]


@pytest.mark.parametrize(
    ("octets", "descriptors", "ends"),
    [
        (struct.pack("!I", 0xFFFFFFFF) + b"x", (0, 1, 2), False),
        (struct.pack("!I", 25) + b"/\0QMAILHOME=/nonexistent\0", (0, 1, 2), False),
        (b"GET / HTTP/1.0\r\n\r\n", (0, 1, 2), False),
        (struct.pack("!I", 3) + b"/", (0, 1, 2), True),
        (struct.pack("!I", 0), (0, 1, 2), False),
        (struct.pack("!I", 2) + b"/\0", (0, 1), False),
        (struct.pack("!I", 2) + b"/\0", (0, 1, 2, 2), False),
    ],
    ids=["too-long", "no-home", "another-protocol", "cut-off", "empty", "without-a-log", "half-of-ucspi-tls"],
)
def test_nonsense_is_let_go(
    octets: bytes, descriptors: Sequence[int], ends: bool, home: QmailHome, program: Path
) -> None:
    with gate(home, "-c", "1") as path:
        assert brought(path, octets, descriptors, ends) == b""
        assert greeted(home, program, path)
    assert "Traceback" not in (home.path / "listener.log").read_text()


def test_a_variable_without_a_name_keeps_no_program_from_starting(home: QmailHome, program: Path) -> None:
    env = home.environment(SMTPEXTFORK="fakes/exit 100")
    with gate(home) as path, serve(["env", "=nameless", str(program), str(path)], home, env) as talk:
        for line in (b"", b"HELO foo\r\n", b"MAIL FROM:<>\r\n"):
            talk.client.send(line)
            talk.client.reply()
        assert talk.client.command("RCPT TO:<joe@joedomain.net>")[0].startswith(b"554 ")


def test_a_parcel_that_never_comes_gives_its_place_back(home: QmailHome, program: Path) -> None:
    with gate(home, "-c", "1") as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.connect(str(path))
        mute.send(b"\0\0")
        assert greeted(home, program, path)


def test_who_brought_the_session_takes_the_client_along(home: QmailHome, program: Path) -> None:
    with gate(home, "-c", "1") as path, serve([str(program), str(path)], home, home.environment()) as talk:
        talk.client.reply()
        assert talk.process
        talk.process.kill()
        assert talk.client.rest() == b""
        assert greeted(home, program, path)


def test_nobody_listens(home: QmailHome, program: Path) -> None:
    fallback = [str(program), str(home.path / "none"), *smtpd()]
    with serve(fallback, home, home.environment()) as talk:
        assert talk.client.reply() == [b"220 mail.joedomain.net ESMTP"]
    alone = subprocess.run(fallback[:2], capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stderr.count("\n")) == (111, 1)
    assert "No such file" in alone.stderr


def test_the_listener_declines(home: QmailHome, program: Path) -> None:
    with gate(home) as path:
        env = home.environment(QMAILHOME="/nonexistent")
        alone = subprocess.run([str(program), str(path)], env=env, capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stderr) == (
        111, f"qmailfork-handoff: fatal: {path}: {os.strerror(errno.ECONNRESET)}\n"
    )  # fmt: skip


def test_a_session_that_is_refused_has_its_fallback(home: QmailHome, program: Path) -> None:
    other = QmailHome(home.path / "other", home.fakes)
    other.control(me=None)
    with gate(home) as path, serve([str(program), str(path), "echo", "fallback"], home, other.environment()) as talk:
        assert talk.client.read_line().rstrip() == b"fallback"


def test_descriptors_are_left_as_they_were(home: QmailHome, program: Path) -> None:
    with gate(home) as path:
        near, far = socket.socketpair()
        with (
            near,
            far,
            subprocess.Popen([str(program), str(path)], stdin=far, stdout=far, env=home.environment()) as one,
        ):
            near.settimeout(30)
            assert near.recv(100).startswith(b"220 ")
            assert not os.get_blocking(far.fileno())
            near.sendall(b"QUIT\r\n")
            assert one.wait(30) == 0
            assert os.get_blocking(far.fileno())
