"""Running a stream through our server and through the C qmail-smtpd."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType

from tests.differential.outcome import Outcome, observe
from tests.differential.sites import Site
from tests.servers import Driver, in_namespace
from tests.support import ROOT, QmailHome, Session, run_session, smtpd


class Ours:
    """One of our servers on pipes, a new process for each stream."""

    def __init__(self, home: QmailHome, argv: list[str] | None = None) -> None:
        self.home = home
        self.argv = argv or smtpd()

    def run(self, site: Site, stream: bytes) -> Outcome:
        env = site.set_up(self.home)
        return observe(run_session(self.argv, env, stream), self.home)


class OnSocket:
    """One of our drivers that serves on a socket; no process of its own serves a session, so there is no status."""

    def __init__(self, home: QmailHome, driver: Driver) -> None:
        self.home = home
        self.driver = driver

    def run(self, site: Site, stream: bytes) -> Outcome:
        env = site.set_up(self.home)
        with self.driver.open(self.home, env) as talk:
            talk.client.send(stream)
            talk.client.half_close()
            session = Session(talk.client.rest(), 0, talk.log())
        return observe(session, self.home)


class Reference:
    """The C qmail-smtpd, or us in front of it: a helper in a private mount namespace starts `argv` for each stream."""

    def __init__(self, home: QmailHome, argv: list[str]) -> None:
        self.home = home
        helper = in_namespace(home.path / "control", sys.executable, "-m", "tests.differential.servers", *argv)
        self.helper = subprocess.Popen(helper, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ)

    def __enter__(self) -> "Reference":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.helper.communicate()

    def run(self, site: Site, stream: bytes) -> Outcome:
        env = {**site.set_up(self.home), "QMAILQUEUE": str(self.home.path / "bin" / "qmail-queue")}
        assert self.helper.stdin is not None
        assert self.helper.stdout is not None
        self.helper.stdin.write(json.dumps([env, stream.decode("latin-1")]).encode() + b"\n")
        self.helper.stdin.flush()
        output, status, log = json.loads(self.helper.stdout.readline())
        return observe(Session(output.encode("latin-1"), status, log), self.home)


@dataclass(frozen=True)
class Servers:
    """All that are compared: ours on pipes, the warm ones, and where it is there the C server, alone and behind us."""

    ours: Ours
    warm: list[OnSocket]
    theirs: Reference | None
    wrapping: Reference | None


def serve() -> None:
    """The helper's loop: a JSON line in (environment, stream), a JSON line out (output, status, log)."""
    for line in sys.stdin:
        env, stream = json.loads(line)
        session = run_session(sys.argv[1:], env, stream.encode("latin-1"))
        print(json.dumps([session.output.decode("latin-1"), session.status, session.log]), flush=True)


if __name__ == "__main__":
    serve()
