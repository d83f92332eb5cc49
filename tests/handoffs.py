"""qmailfork-handoff as a driver of transcripts: each session goes to the one warm listener, by its Unix socket.

What is in the environment arrives with the session, QMAILHOME as well, so one listener serves every case.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import Talk, serve
from tests.support import ROOT, QmailHome, qmailfork, smtpd
from tests.ucspi import Server, listening

SOURCES = ROOT / "contrib" / "handoff"
FALL_BACK = ("/bin/sh", "-c", 'echo "$$" >>"$0" && exec "$@"')  # told, so that no cold session passes for a warm one


def build_handoff(into: Path) -> Path:
    """qmailfork-handoff, made by its Makefile in the directory `into`."""
    shutil.copytree(SOURCES, into, dirs_exist_ok=True)
    subprocess.run(["make", "-s", "-B", "qmailfork-handoff"], cwd=into, check=True)
    return into / "qmailfork-handoff"


class Handoffs:
    """The listener that is handed sessions, started when the first one asks for it."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def close(self) -> None:
        """Ends the listener."""
        self._stack.close()

    @cached_property
    def _place(self) -> Path:
        return Path(self._stack.enter_context(TemporaryDirectory()))

    @cached_property
    def program(self) -> Path:
        return build_handoff(self._place / "handoff")

    @cached_property
    def listener(self) -> Server:
        own = QmailHome(self._place / "qmail", self._place)
        argv = qmailfork("listen", "-1", "--workers", "1", "--handoff", str(self._place / "socket"))
        env = own.environment()
        return self._stack.enter_context(listening(argv, env, self._place / "log", ""))

    @contextmanager
    def open(self, home: QmailHome, env: dict[str, str]) -> Iterator[Talk]:
        """A session that is handed over, or refused by the listener and then served by the fallback."""
        refused_before = self._refused()
        fell_back = home.path / "fell-back"
        argv = [str(self.program), str(self._place / "socket"), *FALL_BACK, str(fell_back), *smtpd()]
        with serve(argv, home, env) as talk:
            yield talk
        assert fell_back.exists() == (self._refused() > refused_before), self.listener.log()

    def _refused(self) -> int:
        return sum("hand-off refused" in line for line in self.listener.log())


HANDOFFS = Handoffs()
