"""One checker, one recipient: a session rehearsed by the code that serves mail, without control files of the site."""

import os
import tempfile
from collections.abc import Callable
from typing import IO, Any

from qmailfork.cli.envelopes import Case
from qmailfork.conversation.dialogue import converse
from qmailfork.drivers import rehearsal, stdio
from qmailfork.drivers.worker.profile import TCP, Profile
from qmailfork.drivers.worker.tcpserver import Client
from qmailfork.programs import checkers
from qmailfork.programs.outcome import Outcome
from qmailfork.system import config, spawn

LOCAL = (b"mail.example.net", b"192.0.2.1", 25)
BARE = (b"SMTPEXTFORK", b"SMTPEXTFORKR", b"SMTPEXTFORKTIMEOUT", b"SMTPEXTFORKFAIL", b"SMTPEXTFORKCODES", b"QMAILHOME")
CarryOut = Callable[[Any], object]


class Told:
    """What became of the recipient: the checker's `outcome`, the `reply` and what it wrote to the `log`.

    `by_code` where the plain contract holds, by which each exit code should mean something.
    """

    def __init__(self, step: rehearsal.Step, log: bytes, by_code: bool) -> None:
        self.by_code = by_code
        self.reply = step.reply
        self.log = log
        self.outcome: Outcome = next(event.checks[-1][1] for event in reversed(step.events) if event.checks)


class Bench:
    """Runs the checker `entry` for one recipient after the other, under an `environment`.

    None stands for the lists of the environment itself: SMTPEXTFORKR's for a client that relays. `resident` where the
    one is not started, but asked. Raises ValueError where the scheme of `entry` cannot read the rest.
    """

    def __init__(self, entry: bytes | None, environment: dict[bytes, bytes], seconds: float | None) -> None:
        self._null = spawn.seal()
        lists = {} if entry is None else {b"SMTPEXTFORK": entry, b"SMTPEXTFORKR": entry}
        self._environment = {**environment, **lists}
        self._environment.pop(b"RELAYCLIENT", None)
        if seconds is not None:
            self._environment[b"SMTPEXTFORKTIMEOUT"] = b"%g" % seconds
        self._controls = _open_controls()
        self.resident = entry is not None and checkers.checker(entry).resident
        self._by_code = (entry or b"").partition(b":")[0] not in (b"policy", b"spp", b"rcptcheck", b"shadow")

    def try_on(self, case: Case, log: IO[bytes] | None = None, carry_out: CarryOut | None = None) -> Told:
        """Ask the checker about one recipient; its descriptor 2 is `log`, a fresh file where none is given."""
        if log is None:
            with tempfile.TemporaryFile() as file:
                told = self.try_on(case, file, carry_out)
                file.seek(0)
                told.log = file.read()
                return told
        environment = self.environment(case)
        step = self._hold(case, environment, environment, log.fileno(), carry_out)
        assert step  # the client says RCPT whatever it hears before
        return Told(step, b"", self._by_code)

    def ask(self, case: Case, log: int) -> rehearsal.Step | None:
        """Ask the whole list about one recipient, by the settings of checkers alone: what came of it; None where the
        session does not come to a recipient. Checkers' descriptor 2 is `log`.
        """
        environment = self.environment(case)
        listed = {name: value for name, value in environment.items() if _is_listed(name)}
        return self._hold(case, environment, listed, log)

    def _hold(
        self, case: Case, environment: dict[bytes, bytes], settings: dict[bytes, bytes], log: int,
        carry_out: CarryOut | None = None,
    ) -> rehearsal.Step | None:  # fmt: skip
        driver = stdio.Driver(environment, self._null, lambda event: None, log)
        client = rehearsal.client(case.helo, case.sender, [case.recipient], None)
        held = rehearsal.Rehearsal(client, carry_out or driver.answer)
        try:
            held.drive(converse(config.settings(self._controls, settings), config.peer(environment)))
        finally:
            driver.leave()
        return next((step for step in held.steps if step.said.startswith(b"RCPT")), None)

    def environment(self, case: Case) -> dict[bytes, bytes]:
        """The session's environment in this `case`."""
        base = self._environment
        if case.bare:
            base = {name: value for name, value in base.items() if name in BARE}
        client = Client(case.ip, 40000)
        client.host, client.info = case.host, case.info
        rule = {b"RELAYCLIENT": b""} if case.relays else {}
        environment = Profile(self._controls, base, rule).environment(client, LOCAL)
        return {name: value for name, value in environment.items() if name not in case.without}


def _is_listed(name: bytes) -> bool:
    """Whether the variable `name` is about checkers, or about who the client is."""
    return b"SMTPEXTFORK" in name or name in (b"XF_QUITASAP", b"RELAYCLIENT") or name in TCP


def _open_controls() -> config.Controls:
    """Control files that let every recipient through to the checkers."""
    with tempfile.TemporaryDirectory() as home:
        os.mkdir(f"{home}/control")
        with open(f"{home}/control/me", "wb") as file:
            file.write(LOCAL[0])
        return config.Controls(os.fsencode(home))


def absolute(entry: bytes) -> bytes:
    """`entry` with a program of this directory by its whole path: the server starts it from qmail's home."""
    scheme, colon, rest = entry.strip().partition(b":")
    if colon and scheme in checkers.SCHEMES:
        return scheme + colon + absolute(rest)
    program, blank, arguments = entry.strip().partition(b" ")
    if program.startswith((b"./", b"../")):
        program = os.path.abspath(program)
    return program + blank + arguments


def go_home(environment: dict[bytes, bytes]) -> str:
    """Enter qmail's home, where checkers run; a complaint where that is not possible, else nothing."""
    home = config.home(environment)
    try:
        os.chdir(home)
    except OSError as fault:
        return f"{os.fsdecode(home)}: {fault.strerror}; checkers run there, and this one runs here instead"
    return ""
