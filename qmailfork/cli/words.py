"""Outcomes and replies in words, and octets from outside fit for a terminal."""

import os
import signal

from qmailfork.programs.outcome import ANSWERED, BROKEN, EXITED, EXPIRED, SIGNALLED, Outcome
from qmailfork.smtp import replies

LONGEST = 200  # characters of one value


def shown(value: bytes, longest: int = LONGEST) -> str:
    """`value` for a terminal: what is not printable as an escape, at most `longest` characters and `...`."""
    text = value.decode("utf-8", "backslashreplace")
    plain = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return plain if len(plain) <= longest else plain[:longest] + "..."


def shown_reply(reply: bytes) -> str:
    """A reply of one line or more, in one line."""
    return " / ".join(shown(line) for line in reply.rstrip(b"\r\n").split(b"\r\n"))


def ending(outcome: Outcome) -> str:
    """How a program ended."""
    if outcome.how == EXITED:
        return f"exit {outcome.code}"
    if outcome.how == SIGNALLED:
        return _signal(outcome.code)
    if outcome.how in (ANSWERED, BROKEN):
        return "answered" if outcome.how == ANSWERED else "no answer"
    return "out of time" if outcome.how == EXPIRED else f"not started: {os.strerror(outcome.code)}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def consequence(outcome: Outcome, reply: bytes, by_code: bool = True) -> str:
    """What the server does after a checker's `outcome` that led to this `reply`; `by_code` by the plain contract."""
    if not replies.is_positive(reply):
        return f"{'defers' if reply.startswith(b'4') else 'refuses'}: {shown_reply(reply)}"
    if outcome.how not in (EXITED, ANSWERED):
        return "it failed: the next checker, as if it had exited 0 (SMTPEXTFORKFAIL=pass)"
    if outcome.code and by_code:
        return f"{outcome.code} has no meaning: the next checker, as if it had exited 0"
    return "the next checker; after the last one the recipient is accepted"


def milliseconds(value: float) -> str:
    """A time, to three digits."""
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
