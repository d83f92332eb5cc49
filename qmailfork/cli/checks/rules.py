"""tcprules' source and its cdb: one of the other, and no rule that lets everyone relay."""

import os
import tempfile
from collections.abc import Iterator

from qmailfork.cli import compiling
from qmailfork.cli.checks import controls
from qmailfork.cli.finding import ERROR, WARNING, Finding
from qmailfork.conversation.settings import ControlFault
from qmailfork.system import tcprules
from qmailfork.system.tcprules import Rule

Rules = list[tuple[bytes, Rule]]


def compiled(source: str, cdb: str, optional: bool = False) -> Iterator[Finding]:
    """The cdb is there, unless it is `optional`, and what tcprules makes of its source now."""
    if not os.path.exists(source):
        if not optional and not os.path.lexists(cdb):
            yield Finding(ERROR, cdb, os.strerror(2), "every client is turned away", "run tcprules, or make")
        return
    found = list(controls.compiled(source, cdb, "tcprules, or make"))
    yield from found
    yield from _written(source)
    if not found and not _same(source, cdb):
        why = "what was changed does not count"
        yield Finding(ERROR, source, "the cdb was made of something else", why, "run tcprules, or make")


def _written(source: str) -> Iterator[Finding]:
    """Lines that do not say what they look like."""
    with open(source, encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if line.startswith((" ", "\t")) and line.strip():
                why = "the blank is taken for a part of the address, and no client has it"
                yield Finding(WARNING, f"{source}:{number}", "it begins with a blank", why, "take the blank away")


def _same(source: str, cdb: str) -> bool:
    """Whether tcprules makes this cdb of this source; taken for granted where there is no tcprules."""
    with tempfile.TemporaryDirectory() as place:
        made = f"{place}/cdb"
        return compiling.compiled(source, made) != "" or _octets(made) == _octets(cdb)


def _octets(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def parsed(source: str, cdb: str) -> tuple[Rules, list[Finding]]:
    """The rules in force, and why there are none."""
    found = list(_refused(source))
    try:
        return tcprules.every(os.fsencode(cdb)), found
    except ControlFault as fault:
        if os.path.exists(cdb):
            why = "every client is turned away"
            found.append(Finding(ERROR, cdb, str(fault).partition(": ")[2], why, "run tcprules, or make"))
        return [], found


def _refused(source: str) -> Iterator[Finding]:
    """What tcprules says of the source."""
    if not os.path.exists(source):
        return
    with tempfile.TemporaryDirectory() as place:
        said = compiling.compiled(source, f"{place}/cdb")
    if said:
        what, why = said.removeprefix("tcprules: fatal: "), "the next change cannot be compiled"
        yield Finding(ERROR, source, what, why, "see tcprules(1)")


def relaying(source: str, rules: Rules) -> Iterator[Finding]:
    """A rule for everyone that lets everyone relay."""
    for address, rule in rules:
        if address == b"" and rule.allowed and b"RELAYCLIENT" in rule.environment:
            why = "everyone may send to any domain: an open relay"
            yield Finding(ERROR, source, "the rule for everyone sets RELAYCLIENT", why, "set it for our own networks")
