"""Names and values in an environment."""

import difflib
import re
from collections.abc import Iterator, Mapping

from qmailfork.cli import words
from qmailfork.cli.checks import known
from qmailfork.cli.finding import ERROR, WARNING, Finding
from qmailfork.conversation.settings import Settings
from qmailfork.programs import checkers

OWN_WORDS = re.compile(rb"([45][0-9][0-9])SMTPEXTFORK|SMTPEXTFORK([45][0-9][0-9])")
OURS = re.compile(  # a name that must be meant for us
    rb"[0-9]*SMTPEXT|QMAILFORK_|XF_QUIT|REPLY_|MAXREC|LOCALMF|HELOCH|RECIPIENTS|TARPIT|GREETD|MFDNS"
)
NEAR = 0.84  # of 1: how much of a name has to be right for another to be meant by it
PLAIN = frozenset(b"PATH HOME USER LOGNAME SHELL TERM LANG TZ PWD OLDPWD SHLVL MAIL EDITOR PAGER HOST HOSTNAME".split())


def names(environment: Mapping[bytes, bytes], programs: list[bytes]) -> Iterator[Finding]:
    """Variables that are none, with the nearest name that is; `programs` may have variables of their own."""
    asked = known.ours().union(*map(known.of_program, programs))
    serving = known.ours() | {b"%dSMTPEXTFORK" % code for code in (450, 451, 454, 550, 553, 554)}
    for name in environment:
        if name in asked or name in PLAIN or OWN_WORDS.fullmatch(name):
            continue
        near = difflib.get_close_matches(words.shown(name), [each.decode() for each in serving], 1, NEAR)
        if near or OURS.match(name):
            why = f"{words.shown(environment[name], 60)!r} has no effect"
            mend = f"did you mean {near[0]}?" if near else "take it away"
            yield Finding(WARNING, words.shown(name), "no program knows this variable", why, mend)


def values(environment: Mapping[bytes, bytes], settings: Settings) -> Iterator[Finding]:
    """Values that the server would complain of, or that look unlike what was meant."""
    for complaint in settings.checkers.complaints:
        why, mend = "it is passed over, and the default counts", "see qmailfork-control(5)"
        yield Finding(ERROR, words.shown(complaint), "it makes no sense", why, mend)
    for name, value in environment.items():
        if value.endswith(b"\r"):
            why = "the carriage return is part of the value"
            yield Finding(ERROR, words.shown(name), "its line ends as in DOS", why, "sed -i 's/\\r$//' on the file")


def own_words(environment: Mapping[bytes, bytes], settings: Settings) -> Iterator[Finding]:
    """The site's own words for replies that nobody gets."""
    contract = settings.checkers
    used = {*contract.codes.values(), *filter(None, checkers.ON_FAILURE.values())}
    for name in environment:
        match = OWN_WORDS.fullmatch(name)
        if not match or not environment[name]:
            continue
        code, shown = match[1] or match[2], words.shown(name)
        if code not in used:
            why = f"no exit code of a checker leads to {code.decode()}"
            mend = f"give a code this reply (SMTPEXTFORKCODES=102={code.decode()}), or take it away"
            yield Finding(WARNING, shown, "nobody hears these words", why, mend)
        elif match[2] and environment.get(code + b"SMTPEXTFORK"):
            why = f"{code.decode()}SMTPEXTFORK is set, too, and goes before it"
            yield Finding(WARNING, shown, "nobody hears these words", why, "keep one of the two")
