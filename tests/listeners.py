"""The warm listener as two drivers of transcripts: on its TCP port, and by hand-off.

A listener reads its control files when it starts, and starting one costs more than a session; so there is one for
each set of control files, kept for the rest of the tests. What a case sets in the environment reaches its session by
the rules, whose cdb is written anew for it; with a hand-off, by itself.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers import REFERENCE, Talk, in_namespace, serve
from tests.support import QmailHome, build_handoff, qmailfork
from tests.ucspi import Server, listening

Controls = frozenset[tuple[str, bytes]]
NOT_BY_RULES = ("QMAILHOME", "PATH", "TCPLOCALPORT", "TCPREMOTEPORT", "PROTO")


class Listeners:
    """One listener for each set of control files, started when the first session asks for it.

    With `wraps` it stands in front of the C qmail-smtpd.
    """

    def __init__(self, wraps: bool = False) -> None:
        self._wraps = wraps
        self._stack = ExitStack()
        self._running: dict[Controls, tuple[QmailHome, Server]] = {}
        self._rules: dict[Path, dict[str, str]] = {}

    def close(self) -> None:
        """Ends all of them."""
        self._stack.close()
        self._running.clear()

    @contextmanager
    def open(self, home: QmailHome, env: dict[str, str]) -> Iterator[Talk]:
        """A session with the control files, the queue and the environment of `home` and `env`."""
        own, server = self._listener(home)
        own.queue(queue_of(home))
        if self._wraps:
            env = {"QMAILQUEUE": str(own.path / "bin" / "qmail-queue"), **env}
        variables = {name: env[name] for name in env if name not in NOT_BY_RULES}
        if self._rules.get(own.path) != variables:
            write_rules(own.path / "rules.cdb", variables)
            self._rules[own.path] = variables
        said_before = len(server.log())
        with server.connect() as client:
            yield Talk(client, lambda: server.log()[said_before:])

    @contextmanager
    def hand_over(self, home: QmailHome, env: dict[str, str]) -> Iterator[Talk]:
        """A session that qmailfork-handoff brings, with no fallback."""
        with serve(self.handoff(home), home, env) as talk:
            yield talk

    def handoff(self, home: QmailHome) -> list[str]:
        """The argv of qmailfork-handoff to a listener with the control files of `home`."""
        own, _ = self._listener(home)
        return [str(own.path / "bin" / "qmailfork-handoff"), str(own.path / "socket")]

    def _listener(self, home: QmailHome) -> tuple[QmailHome, Server]:
        files = frozenset((file.name, file.read_bytes()) for file in (home.path / "control").iterdir())
        if files not in self._running:
            self._running[files] = self._start(home, files)
        return self._running[files]

    def _start(self, home: QmailHome, files: Controls) -> tuple[QmailHome, Server]:
        own = QmailHome(
            home.path.parent.parent / f"{'wrapping' if self._wraps else 'listener'}{len(self._running)}", home.fakes
        )
        build_handoff(own.path)
        own.control(me=None, rcpthosts=None)
        own.control(**dict(files))
        write_rules(own.path / "rules.cdb", {})
        options = ["-1", "-H", "-R", "-l", "mail.joedomain.net", "-x", str(own.path / "rules.cdb"), "--workers", "1"]
        options += ["--handoff", str(own.path / "socket")]
        argv = qmailfork("listen", *options, "127.0.0.1", "0")
        if self._wraps:
            argv = in_namespace(own.path / "control", *argv, str(REFERENCE))
        env = {"PATH": os.defpath, "QMAILHOME": str(own.path)}
        return own, self._stack.enter_context(listening(argv, env, own.path / "log", "127.0.0.1"))


LISTENERS = Listeners()
WRAPPERS = Listeners(wraps=True)


def queue_of(home: QmailHome) -> str | None:
    """The fake in the place of the home's bin/qmail-queue."""
    place = home.path / "bin" / "qmail-queue"
    return place.readlink().name if place.is_symlink() else None


def write_rules(cdb: Path, variables: dict[str, str]) -> None:
    """Rules that allow everyone, with these variables; as tcprules writes them, which knows no newline in a value."""
    data = b"".join(b"+" + os.fsencode(f"{name}={value}") + b"\0" for name, value in variables.items())
    record = b"+0,%d:->%b\n\n" % (len(data), data)
    subprocess.run(["cdb", "-c", "-t", f"{cdb}.tmp", str(cdb)], input=record, check=True)
