"""Many sessions of every kind through one worker, and what it has in its hands before and after: nothing may grow."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.processes import children, descriptors, of_home, resident
from tests.smtpclient import Client
from tests.support import PATIENCE, QmailHome, build_handoff, qmailfork, wait_for
from tests.tlsclient import certificate, over_tls
from tests.ucspi import Server, listening
from tests.warm import NO_NAMES

ENVELOPE = b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<%b@joedomain.net>\r\n"
TEXT = b"DATA\r\nSubject: x\r\n\r\n" + b"x" * 60 + b"\r\n"
AT_ONCE = 4  # clients

SCRIPTS: list[tuple[bytes, str]] = [
    (ENVELOPE % b"joe" + TEXT + b".\r\nQUIT\r\n", "quit"),
    (ENVELOPE % b"joe" + TEXT + TEXT * 2000 + b".\r\nQUIT\r\n", "quit"),
    (ENVELOPE % b"joe" + TEXT + TEXT * 2000, "reset"),
    (ENVELOPE % b"joe" + TEXT, "gone"),
    (ENVELOPE % b"joe" + TEXT + b".\r\n", "gone"),
    (ENVELOPE % b"joe", "reset"),
    (ENVELOPE % b"joe" + b"RCPT TO:<x@elsewhere.org>\r\nQUIT\r\n", "quit"),
    (ENVELOPE % b"joe" + b"DATA\r\nbare\nnewline\r\n.\r\n", "half"),
    (b"", "gone"),
    (b"", "reset"),
    (b"EHLO foo\r\nAUTH\r\n\0\r\n" + b"x" * 20000 + b"\r\nQUIT\r\n", "quit"),
    (b"HELO foo", "half"),
    (b"MAIL FROM:<a@example.net>\r\nRSET\r\nNOOP\r\nVRFY\r\nQUIT\r\nMAIL", "quit"),
]
RARE = frozenset((1, 2, 10))  # those that copy much


@dataclass(frozen=True)
class Held:
    """What a worker has after so many `sessions`: open descriptors, KiB of memory."""

    sessions: int
    descriptors: int
    resident: int


@dataclass(frozen=True)
class Place:
    """A listener that is watched: its home, where sessions are handed over, and how, and its certificate."""

    home: QmailHome
    server: Server
    handoff: list[str]
    trusted: Path

    def session(self, number: int) -> None:
        """The session of this number: which kind it is comes of that."""
        kind = number % len(SCRIPTS)
        words, end = SCRIPTS[0 if kind in RARE and number % 5 else kind]
        if number % 19 == 0:
            self._handed_over(words, end)
            return
        with self.server.connect() as client:
            if number % 23 == 0:
                self._under_tls(client, words, end)
            else:
                speak(client, words, end)

    def _handed_over(self, words: bytes, end: str) -> None:
        near, far = socket.socketpair()
        env = self.home.environment(TCPREMOTEPORT=str(threading.get_ident() % 60000))
        with far:
            process = subprocess.Popen(self.handoff, env=env, stdin=far, stdout=far, stderr=subprocess.DEVNULL)
        with Client(near) as client:
            speak(client, words, "gone" if end == "reset" else end)
        process.wait(PATIENCE)

    def _under_tls(self, client: Client, words: bytes, end: str) -> None:
        client.reply()
        client.command("EHLO foo")
        client.command("STARTTLS")
        speak(over_tls(client, self.trusted), words, "gone" if end == "half" else end)

    def sessions(self, numbers: range) -> None:
        """These sessions, a few at a time. Raises the first fault of any."""
        faults: list[BaseException] = []

        def some(first: int) -> None:
            try:
                for number in numbers[first::AT_ONCE]:
                    self.session(number)
            except BaseException as fault:  # told in the main thread
                faults.append(fault)

        threads = [threading.Thread(target=some, args=(first,)) for first in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]

    def hold(self, count: int) -> Held:
        """What the worker has once every session has ended, and every program."""
        (worker,) = children(self.server.process.pid)
        wait_for(self._is_empty, what="the sessions to end")
        wait_for(lambda: not children(worker), what="the programs to end")
        wait_for(lambda: len(of_home(self.home.path)) == 2, what="the last process that nobody waits for")
        self.home.forget_messages()
        return Held(count, descriptors(worker), resident(worker))

    def _is_empty(self) -> bool:
        """Whether a session that ends now is the last; those that are handed over write no such line themselves."""
        with self.server.connect() as client:
            speak(client, b"QUIT\r\n", "quit")
        return b"status: 0/" in wait_for(lambda: last_line(self.server.log_file), what="the log")


def speak(client: Client, words: bytes, end: str) -> None:
    """Say all at once, and part from the server as the `end` says."""
    client.send(words)
    if end == "reset":
        client.reset()
    elif end != "gone":
        if end == "half":
            client.half_close()
        client.rest()


def last_line(file: Path) -> bytes:
    with file.open("rb") as log:
        log.seek(max(log.seek(0, 2) - 300, 0))
        return log.read().rstrip(b"\n").rpartition(b"\n")[2]


@contextmanager
def watched(home: QmailHome, loop: str) -> Iterator[Place]:
    """A listener with one worker on this `loop`, that takes hand-offs, too."""
    trusted, path = certificate(home), home.path / "socket"
    program = build_handoff(home.path)
    options = ["-1", "-v", *NO_NAMES, "--workers", "1", "--loop", loop, "--handoff", str(path)]
    env = {name: value for name, value in home.environment().items() if not name.startswith("TCP")}
    env |= {"SMTPEXTFORK": f"/bin/true,policy:unix:{home.path}/nobody", "SMTPEXTFORKFAIL": "pass"}
    argv = qmailfork("listen", *options, "127.0.0.1", "0")
    with listening(argv, env, home.path / "listener.log", "127.0.0.1") as server:
        yield Place(home, server, [str(program), str(path)], trusted)
        assert not any("Traceback" in line for line in server.log())


def watch(
    home: QmailHome, loop: str, count: int, parts: int, tell: Callable[[Held], None] = lambda held: None
) -> list[Held]:
    """`count` sessions in so many `parts`; what the worker holds after each of them."""
    held = []
    with watched(home, loop) as place:
        for part in range(parts):
            place.sessions(range(part * count // parts, (part + 1) * count // parts))
            held.append(place.hold((part + 1) * count // parts))
            tell(held[-1])
    return held
