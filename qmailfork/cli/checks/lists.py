"""The lists of checkers: every entry a program that is there, and written as it was meant."""

import difflib
import os
from collections.abc import Iterator
from time import monotonic

from qmailfork.cli import trial, words
from qmailfork.cli.envelopes import Case
from qmailfork.cli.finding import ERROR, WARNING, Finding
from qmailfork.conversation.settings import Settings
from qmailfork.programs import checkers, verdict
from qmailfork.programs.outcome import ANSWERED, EXITED
from qmailfork.system.residents import Unreachable, connect

LISTS = ("SMTPEXTFORK", "SMTPEXTFORKR")
FENCE = "SMTPEXTFORKFENCE"
PATIENCE = 5.0  # seconds for a resident checker to take a connection


def entries(name: str, settings: Settings) -> Iterator[Finding]:
    """Every checker of the list `name`, under the settings of a client that meets it."""
    contract = settings.checkers
    seen: set[bytes] = set()
    if contract.entries and contract.fence:
        yield from program(FENCE, contract.fence[0])
    for entry in contract.entries:
        yield from _resident(name, entry) if entry.resident else _started(name, entry)
        told = b" ".join(entry.argv) or entry.program
        if told in seen:
            why = "the second time costs time and says the same"
            yield Finding(WARNING, name, f"{words.shown(told)} stands there twice", why, "keep one of them")
        seen.add(told)
    if contract.entries and not contract.environment.get(b"SMTPEXTFORKFAIL"):
        what, why = "it is not set", f"a checker of {name} that crashes or is out of time lets the recipient pass"
        yield Finding(WARNING, "SMTPEXTFORKFAIL", what, why, "set it to defer")


def _started(name: str, entry: verdict.Checker) -> Iterator[Finding]:
    found = list(program(name, entry.argv[0]))
    scheme, colon, _ = entry.argv[0].partition(b":")
    if found and colon and b"/" not in scheme:
        near = difflib.get_close_matches(words.shown(scheme), [each.decode() for each in checkers.SCHEMES], 1)
        what, why = f"{words.shown(scheme)}: is no kind of checker", "it is taken for the path of a program"
        known = ", ".join(each.decode() for each in checkers.SCHEMES)
        found = [Finding(ERROR, name, what, why, f"did you mean {near[0]}:?" if near else f"there are {known}")]
    yield from found
    for word in entry.argv[1:]:
        if word.startswith(b"/") and os.path.isfile(word) and os.access(word, os.X_OK):
            what = f"{words.shown(word)} is an argument of {words.shown(entry.argv[0])}"
            yield Finding(WARNING, name, what, "blanks part arguments; the program is not run", "put a comma before it")


def _resident(name: str, entry: verdict.Checker) -> Iterator[Finding]:
    """A resident checker answers when it is called."""
    try:
        connect(entry.address, monotonic() + PATIENCE).close()
    except (TimeoutError, Unreachable) as fault:
        what = f"{words.shown(entry.program)} does not answer: {str(fault) or 'timed out'}"
        yield Finding(ERROR, name, what, "it counts as a checker that failed", "start it, or mend its address")


def program(name: str, path: bytes) -> Iterator[Finding]:
    """A program that the server would start: `path` as it stands in the variable `name`."""
    shown = words.shown(path)
    leads = os.path.realpath(path)
    where = f" (a link to {words.shown(leads)})" if os.path.islink(path) else ""
    why = "it counts as a checker that failed" if name in (*LISTS, FENCE) else "it cannot be run"
    if not os.path.exists(path):
        mend = "name one that is, or open its directories to this user"
        if not path.startswith(b"/"):
            mend = "a relative path begins at qmail's home, and PATH is not looked at"
        yield Finding(ERROR, name, f"{shown}{where} is not there, or not for this user", why, mend)
    elif not (os.path.isfile(path) and os.access(path, os.X_OK)):
        yield Finding(ERROR, name, f"{shown} may not be executed by this user", why, f"chmod +x {shown}")
    else:
        yield from _interpreter(name, path)


def _interpreter(name: str, path: bytes) -> Iterator[Finding]:
    """The program that a script names in its first line."""
    try:
        with open(path, "rb") as file:
            line = file.readline(256)
    except OSError:
        return  # may be executed without being read
    if line.startswith(b"#!"):
        interpreter = line[2:].split()[:1]
        shown = words.shown(path)
        if line.endswith(b"\r\n"):
            what, mend = f"the first line of {shown} ends as in DOS", f"sed -i 's/\\r$//' {shown}"
            yield Finding(ERROR, name, what, "the system looks for an interpreter of that name", mend)
        elif interpreter and not os.access(interpreter[0], os.X_OK):
            what = f"{shown} is for {words.shown(interpreter[0])}, which is not there, or not for this user"
            yield Finding(ERROR, name, what, "it cannot be started", "mend its first line")


def tried(name: str, environment: dict[bytes, bytes]) -> Iterator[Finding]:
    """Each checker run once, for a recipient that is made up, as the server would."""
    for text in environment.get(name.encode(), b"").split(b","):
        if not text.strip():
            continue
        try:
            told = trial.Bench(text.strip(), environment, None).try_on(Case())
        except ValueError:
            continue  # found already
        if told.outcome.how not in (EXITED, ANSWERED):
            what = f"{words.shown(text.strip())}, asked about a recipient: {words.ending(told.outcome)}"
            why = f"after {words.milliseconds(told.outcome.milliseconds)} it counts as a checker that failed"
            yield Finding(ERROR, name, what, why, "qmailfork checker run shows what it does")
