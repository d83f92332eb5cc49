"""spamcontrol's lines, read back (programs/journal.py; spamcontrol's smtpdlog.c, from release 2.3 on)."""

import re

from qmailfork.programs.journal import AUTH, ENVELOPE, HOST, TLS, Event

START = b"qmail-smtpd: pid "
_FIELDS = rb"(\d+) (\w+::\w+::[^ :]+):?(?: P:(\S*))? S:(%b)(?: H:(%b)(?: F:(%b) T:(%b))?)?(?: (\?=|!=))?(?: '(.*)')?$"
_LINE = re.compile(_FIELDS % ((rb"\S*",) * 4))
_RAW = re.compile(_FIELDS % ((rb".*?",) * 4))  # spamcontrol writes what a client sent as it is: blanks and all


def read(words: bytes) -> tuple[int, Event] | None:
    """The process id and the event of a line without START; None for one that is none of spamcontrol's."""
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
