"""The drivers of cold servers, which start for each session, and what all drivers have in common (registry.py).

A driver opens one session: given a home and an environment, it yields a Talk with a connected client. The
reference is the C qmail-smtpd, where it is installed and a private mount namespace can be had: its control
directory is compiled in, so the home's is bound over it.
"""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.smtpclient import Client
from tests.support import PATIENCE, PYTHON, QmailHome, smtpd

QMAIL = Path("/var/qmail")
REFERENCE = QMAIL / "bin" / "qmail-smtpd"
BIND = f"""
import os, sys
os.spawnvp(os.P_WAIT, "mount", ["mount", "--bind", sys.argv[1], "{QMAIL}/control"])
os.execvp(sys.argv[2], sys.argv[2:])
"""  # a shell would drop variables whose names begin with a digit


@dataclass(frozen=True)
class Talk:
    """An open session: the client's side, the server's log, and its process where one serves this session."""

    client: Client
    log: Callable[[], list[str]]
    process: subprocess.Popen[bytes] | None = None

    def status(self) -> int | None:
        """The exit status once the session has ended; None where no process of its own serves it."""
        return None if self.process is None else self.process.wait(PATIENCE)


@dataclass(frozen=True)
class Driver:
    """`cold`: the controls are read at each session. `tcp`: it sets the TCP variables itself, whatever the session's
    environment lacks. `ours`: false for the reference. `bytewise`: whether octets that are sent one by one surely
    arrive so; on TCP they may not. `alone`: nothing is wrapped.
    """

    name: str
    open: Callable[[QmailHome, dict[str, str]], AbstractContextManager[Talk]]
    cold: bool = True
    tcp: bool = False
    ours: bool = True
    alone: bool = True
    bytewise: bool = True


@contextmanager
def serve(argv: list[str], home: QmailHome, env: dict[str, str]) -> Iterator[Talk]:
    """A process with one end of a socket pair as its descriptors 0 and 1."""
    log_file = home.path / "log"
    near, far = socket.socketpair()
    with log_file.open("wb") as log, far:
        process = subprocess.Popen(argv, env=env, stdin=far, stdout=far, stderr=log, cwd=home.path)
    try:
        with Client(near) as client:
            yield Talk(client, lambda: log_file.read_bytes().decode("latin-1").splitlines(), process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def stdio(home: QmailHome, env: dict[str, str]) -> AbstractContextManager[Talk]:
    """qmailfork-smtpd on descriptors 0 and 1."""
    return serve(smtpd(), home, env)


def in_namespace(control: Path, *argv: str) -> list[str]:
    """The argv that runs another one with `control` in the place of /var/qmail/control, for itself alone."""
    return ["unshare", "-m", *PYTHON, "-c", BIND, str(control), *argv]


def reference(home: QmailHome, env: dict[str, str]) -> AbstractContextManager[Talk]:
    """The C qmail-smtpd."""
    env = {"QMAILQUEUE": str(home.path / "bin" / "qmail-queue"), **env}
    return serve(in_namespace(home.path / "control", str(REFERENCE)), home, env)


def wrapper(home: QmailHome, env: dict[str, str]) -> AbstractContextManager[Talk]:
    """qmailfork-smtpd in front of the C qmail-smtpd."""
    env = {"QMAILQUEUE": str(home.path / "bin" / "qmail-queue"), **env}
    return serve(in_namespace(home.path / "control", *smtpd(str(REFERENCE))), home, env)


@cache
def reference_there() -> bool:
    """Whether the C qmail-smtpd can be run here with a control directory of ours."""
    if os.geteuid() != 0 or not REFERENCE.exists():
        return False
    try:
        return subprocess.run(in_namespace(QMAIL, "true"), capture_output=True, check=False).returncode == 0
    except FileNotFoundError:  # no unshare
        return False
