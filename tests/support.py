"""What the tests share: a qmail home in a directory, fakes in it, sessions on pipes, waiting.

`from tests.support import …`; the fixtures `fakes` and `home` are in conftest.py, the client smtpclient.py,
real tcpserver in ucspi.py, the drivers in registry.py.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
FAKES = ROOT / "tests" / "fakes"
PYTHON = (sys.executable, "-I", "-S")
PATIENCE = 30.0  # seconds after which what a test waits for is taken not to come

Found = TypeVar("Found")


def smtpd(*program: str) -> list[str]:
    """The argv of qmailfork-smtpd, in front of `program` where one is given."""
    return [*PYTHON, str(ROOT / "bin" / "qmailfork-smtpd"), *program]


def queue() -> list[str]:
    """The argv of qmailfork-queue."""
    return [*PYTHON, str(ROOT / "bin" / "qmailfork-queue")]


def qmailfork(*words: str) -> list[str]:
    """The argv of the operator's command; it needs its dependencies, so site is on."""
    return [sys.executable, str(ROOT / "bin" / "qmailfork"), *words]


def wait_for(condition: Callable[[], Found], seconds: float = PATIENCE, what: str = "") -> Found:
    """The first true value of `condition()`, polled; AssertionError that names `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.0005
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    return found


def alive(pid: int) -> bool:
    """Whether a process of this id runs: neither gone nor a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] not in ("", "Z")


def build_fakes(into: Path) -> Path:
    """Copies tests/fakes to the directory `into` and compiles what is C there; returns `into`."""
    into.mkdir(parents=True, exist_ok=True)
    for source in sorted(file for file in FAKES.iterdir() if file.is_file()):
        if source.suffix == ".c":
            subprocess.run(["cc", "-O1", "-o", str(into / source.stem), str(source)], check=True)
        else:
            shutil.copy(source, into / source.name)
    return into


def build_handoff(into: Path) -> Path:
    """qmailfork-handoff, installed below the directory `into` as its Makefile does it."""
    subprocess.run(["make", "-s", "-C", built_handoff().name, f"PREFIX={into}", "install"], check=True)
    return into / "bin" / "qmailfork-handoff"


@cache
def built_handoff() -> tempfile.TemporaryDirectory[str]:
    """A directory with contrib/handoff, built, which goes when the tests end."""
    place = tempfile.TemporaryDirectory()
    source = ROOT / "contrib" / "handoff"
    shutil.copytree(source, place.name, ignore=shutil.ignore_patterns("qmailfork-handoff"), dirs_exist_ok=True)
    subprocess.run(["make", "-s", "-C", place.name], check=True)
    return place


@dataclass(frozen=True)
class Stored:
    """A message that the fake queue acknowledged: its octets, the envelope's sender and recipients."""

    message: bytes
    sender: bytes
    recipients: tuple[bytes, ...]

    @classmethod
    def read(cls, directory: Path) -> "Stored":
        sender, *recipients = (directory / "envelope").read_bytes().removesuffix(b"\0\0").split(b"\0")
        return cls((directory / "message").read_bytes(), sender[1:], tuple(name[1:] for name in recipients))

    @property
    def body(self) -> bytes:
        """The message without the server's own Received field, which is two lines."""
        return self.message.split(b"\n", 2)[2]


class QmailHome:
    """A qmail home below `path`: control/, bin/qmail-queue (a fake), fakes/ (checkers), stored/ (queued)."""

    def __init__(self, path: Path, fakes: Path) -> None:
        self.path = path
        self.fakes = fakes
        self.stored = path / "stored"
        for name in ("control", "bin", "stored"):
            (path / name).mkdir(parents=True, exist_ok=True)
        (path / "fakes").symlink_to(fakes)
        self.control(me="mail.joedomain.net\n", rcpthosts="joedomain.net\n.sub.joedomain.net\n")
        self.queue("queue")

    def control(self, **files: str | bytes | None) -> None:
        """Writes control files; None removes one."""
        for name, text in files.items():
            file = self.path / "control" / name
            if text is None:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))

    def more_rcpthosts(self, domains: Iterable[str]) -> None:
        """Compiles control/morercpthosts.cdb, as qmail-newmrh does."""
        records = "".join(f"+{len(name)},0:{name}->\n" for name in domains) + "\n"
        file = self.path / "control" / "morercpthosts.cdb"
        subprocess.run(["cdb", "-c", str(file)], input=records.encode(), check=True)

    def queue(self, fake: str | None) -> None:
        """Puts a fake in the place of bin/qmail-queue; None leaves the place empty."""
        place = self.path / "bin" / "qmail-queue"
        place.unlink(missing_ok=True)
        if fake is not None:
            place.symlink_to(self.fakes / fake)

    def environment(self, **more: str | None) -> dict[str, str]:
        """What tcpserver would set, and the fake queue's directory; None leaves a variable out."""
        values: dict[str, str | None] = {
            "PATH": os.defpath,
            "QMAILHOME": str(self.path),
            "FAKE_QUEUE_DIR": str(self.stored),
            "PROTO": "TCP",
            "TCPLOCALIP": "192.0.2.1",
            "TCPLOCALPORT": "25",
            "TCPLOCALHOST": "mail.joedomain.net",
            "TCPREMOTEIP": "203.0.113.7",
            "TCPREMOTEPORT": "40000",
        }
        values.update(more)
        return {name: value for name, value in values.items() if value is not None}

    def messages(self) -> list[Stored]:
        """What the queue has acknowledged, oldest first."""
        return [Stored.read(self.stored / name) for name in sorted(os.listdir(self.stored)) if name[0] != "."]

    def forget_messages(self) -> None:
        """Empties the store of what was acknowledged."""
        for name in os.listdir(self.stored):
            if name[0] != ".":
                shutil.rmtree(self.stored / name)

    def drafts(self) -> list[str]:
        """What the queue has begun and neither finished nor dropped."""
        return [name for name in os.listdir(self.stored) if name[0] == "." and not name.startswith(".pid")]


@dataclass(frozen=True)
class Session:
    """How a session on pipes went. `status` as of subprocess: negative for a signal."""

    output: bytes
    status: int
    log: list[str]


def run_session(argv: list[str], env: dict[str, str], input: bytes, seconds: float = PATIENCE) -> Session:
    """One session on pipes: all of `input`, then end of input."""
    done = subprocess.run(argv, env=env, input=input, capture_output=True, timeout=seconds, check=False)
    return Session(done.stdout, done.returncode, done.stderr.decode("utf-8", "replace").splitlines())


@contextmanager
def running(argv: list[str], **how: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end of the block where it has not ended by itself."""
    with subprocess.Popen(argv, **how) as process:  # type: ignore[call-overload]  # Popen's options, handed on
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def broken_off(argv: list[str], **how: object) -> tuple[int, bytes]:
    """Ctrl-C while a program reads its input: its exit code, and what it said to standard error."""
    with running(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **how) as process:
        assert process.stdin
        process.stdin.write(b"half")
        process.stdin.flush()
        pipe = process.stdin.fileno()
        wait_for(lambda: fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) == bytes(4), what="the input to be read")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PATIENCE)[1]  # the end of the input: a read may have begun after the signal
        return process.returncode, said


def recorded(file: Path) -> dict[str, list[str]]:
    """What the checker `record FILE` wrote down: name → values, e.g. `fd`, `cwd`, `env`."""
    fields: dict[str, list[str]] = {}
    for field in file.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]:
        name, _, value = field.partition("=")
        fields.setdefault(name, []).append(value)
    return fields
