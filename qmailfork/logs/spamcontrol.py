"""spamcontrol's lines, read back (programs/journal.py; spamcontrol's smtpdlog.c, from release 2.3 on)."""

import re
from functools import lru_cache

from qmailfork.programs.journal import AUTH, ENVELOPE, HOST, TLS, Event

START = b"qmail-smtpd: pid "
_TAGS, _QUOTE = [b"P:", b"S:", b"H:", b"F:", b"T:"], ord("'")
_WHAT = rb"(\w+::\w+::[^ :]+):?"
_FIELDS = rb"(\d+) " + _WHAT + rb"(?: P:(\S*))? S:(%b)(?: H:(%b)(?: F:(%b) T:(%b))?)?(?: (\?=|!=))?(?: '(.*)')?$"
_CONDITION = re.compile(_WHAT)
_LINE = re.compile(_FIELDS % ((rb"\S*",) * 4))
_RAW = re.compile(_FIELDS % ((rb".*?",) * 4))  # spamcontrol writes what a client sent as it is: blanks and all


def read(words: bytes) -> tuple[int, Event] | None:
    """The process id and the event of a line without START; None for one that is none of spamcontrol's."""
    return _usual(words) or _any(words)


def _usual(words: bytes) -> tuple[int, Event] | None:
    """The same for a line as most are, which takes a fifth of the time: all the fields, each without blanks."""
    fields = words.split(b" ", 7)
    if [field[:2] for field in fields[2:7]] != _TAGS or not fields[0].isdigit():
        return None
    info = fields[7] if len(fields) > 7 else None
    condition = _condition(fields[1])
    if condition is None or (info is not None and not (len(info) > 1 and info[0] == info[-1] == _QUOTE)):
        return None
    event = Event(condition, ENVELOPE, info and info[1:-1], 0, b"", b"", fields[6][2:])
    event.protocol = fields[2][2:]
    event.ip, _, event.host = fields[3][2:].rpartition(b":")  # an IPv6 address has colons, too
    event.helo = fields[4][2:]
    event.sender = fields[5][2:]
    return int(fields[0]), event


@lru_cache(maxsize=1000)
def _condition(field: bytes) -> bytes | None:
    match = _CONDITION.fullmatch(field)
    return match[1] if match else None


def _any(words: bytes) -> tuple[int, Event] | None:
    match = _LINE.match(words) or _RAW.match(words)
    if not match:
        return None
    number, condition, protocol, where, helo, sender, recipient, sign, info = match.groups()
    shape = (TLS if sign == b"!=" else AUTH) if sign else ENVELOPE if recipient is not None else HOST
    event = Event(condition, shape, info, 0, b"", b"", recipient or b"")
    event.protocol = protocol or b""
    event.ip, _, event.host = where.rpartition(b":")  # an IPv6 address has colons, too
    event.helo = helo or b""
    event.sender = sender or b""
    return int(number), event
