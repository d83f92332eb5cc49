"""qmail-ldap's lines, read back: a line says one thing, and the session that it belongs to says the rest.

The words are those of programs/events.py, asked there where it has them, and qmail-ldap's own (its qmail-smtpd.c).
"""

import re
from collections.abc import Callable, Iterator

from qmailfork.logs.bounded import Recent
from qmailfork.programs import events, refusals
from qmailfork.programs.journal import ENVELOPE, HOST, Event

START = b"qmail-smtpd "
SESSIONS = 10_000  # that may be open at the same time
_LINE = re.compile(rb"(\d+): (.*)$")
_CONNECTED = re.compile(rb"connection from (\S+) \(([^\s,)]*)(?:, [^)]*)?\) to ")
_CHECKED = re.compile(rb"'rcpt to' (denied|would be denied) via (\S+) \((Extfork_\w+|\w+)\): (.*)$")
_FAILED = re.compile(rb"checker (\S+) failed \((\w+)\) on 'rcpt to': (.*)$")
_NOT_QUEUED = re.compile(rb"message (permanently|temporarly) not accepted because: (.*)$")


def _recipient(event: Event) -> tuple[bytes, bytes]:
    return event.words, event.condition


REFUSED = dict(  # what a refused recipient's line begins with, and its condition
    (
        _recipient(events.no_gateway(b"")),
        (b"'rcpt to' denied via badrcptto: ", b"Reject::RCPT::Bad_Rcptto"),
        (b"bad recipient: ", b"Reject::RCPT::Failed_Rcptto"),
        (b"refused by the wrapped smtpd: ", b"Reject::RCPT::Wrapped"),
    )
)
SENDER_REFUSED = dict(
    (
        _recipient(events.bad_sender(b"", b"", b"")),
        (b"bad mailfrom unknown: ", b"Reject::ORIG::DNS_MF"),
        (b"bad sender: ", b"Reject::ORIG::Bad_Sender"),
    )
)
PLAIN = dict(  # whole lines
    (
        _recipient(refusals.too_many(b"")),
        _recipient(events.too_big(b"", True)),
        _recipient(events.too_big(b"", False)),
        _recipient(events.looping(b"")),
        _recipient(events.stray_newline(b"")),
        _recipient(events.tls_missing()),
        (b"message denied because of more 'RCPT TO' than allowed by MAXRCPTCOUNT", b"Reject::RCPT::Toomany_Rcptto"),
        (b"refused mailfrom because return MX lookup failed temporarly", b"Reject::ORIG::DNS_Temporary"),
        (b"bounce message denied because it has more than one recipient", b"Reject::DATA::Bounce"),
        _recipient(events.auth_missing()),
    )
)


class _Session:
    __slots__ = ("helo", "host", "ip", "pending", "sender")

    def __init__(self, ip: bytes = b"", host: bytes = b"") -> None:
        self.ip, self.host, self.helo, self.sender = ip, host, b"", b""
        self.pending: bytes | None = None  # named, and not refused yet: LOGLEVEL 4 names it before the checks


class Reader:
    """Reads lines without START, and knows the sessions that they belong to."""

    def __init__(self) -> None:
        self._sessions: Recent[int, _Session] = Recent(SESSIONS)

    def read(self, words: bytes) -> Iterator[tuple[int, Event]] | None:
        """Process ids and events that one line makes known; None where it is none of qmail-ldap's."""
        match = _LINE.match(words)
        return self._said(int(match[1]), match[2]) if match else None

    def close(self) -> Iterator[tuple[int, Event]]:
        """What was still open when the log ended."""
        for number, session in self._sessions.items():
            yield from self._settled(number, session)

    def _said(self, number: int, words: bytes) -> Iterator[tuple[int, Event]]:
        session = self._sessions.get(number) or _Session()
        event = self._refusal(session, words)
        if event is None or event.recipient != session.pending:
            yield from self._settled(number, session)
        elif event.condition.startswith(b"Reject"):
            session.pending = None
        connected = _CONNECTED.match(words)
        if connected:
            session = _Session(connected[1], connected[2])
        elif event is None:
            event = self._step(session, words)
        self._sessions.put(number, session)
        if event is not None:
            yield number, _placed(session, event)

    def _settled(self, number: int, session: _Session) -> Iterator[tuple[int, Event]]:
        """The recipient that nothing was said against."""
        if session.pending is not None:
            yield number, _placed(session, events.recipient_accepted(session.pending, False, []))
            session.pending = None

    def _step(self, session: _Session, words: bytes) -> Event | None:
        """A step of the conversation: an event where it is one that counts."""
        if words.startswith(b"rcpt to: "):
            session.pending = words[9:]
        elif words.startswith(b"mail from: "):
            session.sender = words[11:]
        elif words.startswith((b"remote helo: ", b"remote ehlo: ")):
            session.helo = words[13:]
        elif words.startswith(b"message queued: "):
            return Event(b"Accept::DATA::Queued", HOST, None, 2, words)
        elif words in PLAIN:
            return Event(PLAIN[words], ENVELOPE, None, 3, words)
        return _not_queued(words)

    def _refusal(self, session: _Session, words: bytes) -> Event | None:
        """A recipient that something was said against."""
        match = _CHECKED.match(words)
        if match:
            make: Callable[..., Event] = events.checker_refused if match[1] == b"denied" else events.shadowed
            return make(match[4], match[2], match[3], b"", [])
        match = _FAILED.match(words)
        if match:
            return events.checker_failed(match[3], match[1], match[2], [])
        start, colon, subject = words.partition(b": ")
        if start + colon in REFUSED:
            return Event(REFUSED[start + colon], ENVELOPE, None, 3, words, b"", subject)
        if start + colon in SENDER_REFUSED:
            return Event(SENDER_REFUSED[start + colon], ENVELOPE, None, 3, words, b"", session.pending or b"")
        return None


def _not_queued(words: bytes) -> Event | None:
    match = _NOT_QUEUED.match(words)
    if not match:
        return None
    code = b"554 " if match[1] == b"permanently" else b"451 "
    return Event(b"Reject::DATA::Queue", ENVELOPE, match[2], 1, words, code + match[2])


def _placed(session: _Session, event: Event) -> Event:
    event.ip, event.host, event.helo, event.sender = session.ip, session.host, session.helo, session.sender
    return event
