"""`qmailfork checker test`: what one checker does with all that the world may bring, and what is wrong with it."""

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from qmailfork.cli import words
from qmailfork.cli.closed import Closed
from qmailfork.cli.envelopes import FORGED, Case, nasty
from qmailfork.cli.trial import Bench, Told
from qmailfork.programs.outcome import ANSWERED, EXITED, EXPIRED, UNSTARTED
from qmailfork.smtp import replies

ENOUGH = 2  # times that a checker may run out of time; then the rest is left out
SLOW = 1000.0  # milliseconds that a client notices
_CONTROLS = bytes(octet for octet in (*range(32), 127) if octet not in b"\t\n")


class Result:
    """One line of the test: the case's `name`, what was `told` and its `consequence`, `times` in milliseconds; `faults`
    and `notes` are sentences.
    """

    def __init__(self, name: str, told: Told, times: list[float] | None = None) -> None:
        self.name = name
        self.told = told
        self.times = sorted(times or [told.outcome.milliseconds])
        self.consequence = words.consequence(told.outcome, told.reply, told.by_code)
        self.faults = _faults(told)
        self.notes: list[str] = []
        if self.times[-1] > SLOW and told.outcome.how == EXITED:
            self.notes.append("slow: the client waits this long at each recipient")

    def as_json(self) -> dict[str, Any]:
        """Its members for --json."""
        outcome = self.told.outcome
        return {
            "case": self.name,
            "ending": words.ending(outcome),
            "ms": [round(time, 1) for time in self.times],
            "reply": words.shown_reply(self.told.reply),
            "consequence": self.consequence,
            "output": words.shown(outcome.output),
            "log": [words.shown(line) for line in self.told.log.splitlines()],
            "faults": self.faults,
            "notes": self.notes,
        }


def _faults(told: Told) -> list[str]:
    """What is wrong whatever the case."""
    outcome, found = told.outcome, []
    if outcome.how == UNSTARTED:
        found.append("it cannot be started, so that it guards nothing")
    elif outcome.how == EXPIRED:
        found.append("it did not end in time, and its process group was killed")
    elif outcome.how not in (EXITED, ANSWERED):
        found.append(f"it failed ({words.ending(outcome)}): any client that brings this about decides what happens")
    elif outcome.code and told.by_code and replies.is_positive(told.reply):
        found.append(f"exit code {outcome.code} has no meaning, so that the recipient passes")
    if any(line.startswith(FORGED) for line in told.log.splitlines()):
        found.append("a client can forge a line of the log: it writes what it was given as it is")
    elif told.log.translate(None, _CONTROLS) != told.log:
        found.append("it writes a client's control characters to the log as they are")
    return found


def run(bench: Bench, plain: Case, at_once: int) -> Iterator[Result]:
    """Each result as it comes, up to the one that shows that the rest would take too long."""
    late = 0
    with tempfile.TemporaryDirectory() as directory:
        canary = f"{directory}/ran"
        for case in nasty(plain, canary):
            result = Result(case.name, bench.try_on(case))
            if os.path.exists(canary):
                os.unlink(canary)
                result.faults.append("it ran a command that the client had put into the envelope")
            yield result
            late += result.told.outcome.how == EXPIRED
            if late == ENOUGH or result.told.outcome.how == UNSTARTED:
                return
    if not bench.resident:
        yield from _descriptors(bench, plain)
    if at_once > 1:
        yield _together(bench, plain, at_once)


def _descriptors(bench: Bench, plain: Case) -> Iterator[Result]:
    """The same envelope with a log that takes nothing, and with no descriptors at all."""
    first = bench.try_on(plain)
    results = [Result("descriptors 0, 1 and 2 closed", bench.try_on(plain, carry_out=Closed(bench.environment(plain))))]
    for name, log in (("a log that is full", _full()), ("a log that nobody reads", _unread())):
        if log:
            with log:
                results.append(Result(name, bench.try_on(plain, log)))
    for result in results:
        if result.told.reply != first.reply:
            result.notes.append("decides otherwise than with an open log")
        yield result


def _full() -> IO[bytes] | None:
    try:
        return open("/dev/full", "wb", buffering=0)
    except OSError:
        return None


def _unread() -> IO[bytes]:
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "wb", buffering=0)


def _together(bench: Bench, plain: Case, at_once: int) -> Result:
    """The same envelope so many times at once, each from a process of its own as behind tcpserver."""
    with multiprocessing.get_context("fork").Pool(at_once) as pool:
        told = pool.map(bench.try_on, [plain] * at_once, chunksize=1)
    worst = max(told, key=lambda one: len(_faults(one)))
    result = Result(f"{at_once} at once", worst, [one.outcome.milliseconds for one in told])
    endings = {words.ending(one.outcome) for one in told}
    if len(endings) > 1:
        result.notes.append(f"not all alike: {', '.join(sorted(endings))}")
    return result
