"""What a server made of a stream, in a form in which two of them can be compared."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from tests.support import QmailHome, Session

VARYING = (
    (re.compile(rb"^250 ok \d+ qp \d+\r\n", re.MULTILINE), b"250 ok TIME qp PID\r\n"),
    (re.compile(rb"^214 [^\r\n]*\r\n", re.MULTILINE), b"214 HELP\r\n"),  # deliberate.py: the help text
    (re.compile(rb"^250-SIZE \d+\r\n", re.MULTILINE), b""),  # deliberate.py: SIZE is advertised
)
DATE = re.compile(rb"(with SMTP; )\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d -0000\n")
REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n|[^\n]+\n?|\n")


@dataclass(frozen=True)
class Outcome:
    """The replies in order (each with all its lines), the exit status, and what was queued: message and envelope."""

    replies: tuple[bytes, ...]
    status: int
    queued: tuple[tuple[bytes, bytes, tuple[bytes, ...]], ...]
    log: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Octets as latin-1."""
        plain = asdict(self)
        del plain["log"]
        return {name: _text(value) for name, value in plain.items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Outcome":
        return cls(**{name: _octets(value) for name, value in data.items()})


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return [_text(part) for part in value] if isinstance(value, tuple | list) else value


def _octets(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("latin-1")
    return tuple(_octets(part) for part in value) if isinstance(value, list) else value


def observe(session: Session, home: QmailHome) -> Outcome:
    """The outcome of a session that has ended; takes the messages out of the home's store."""
    output = session.output
    for pattern, instead in VARYING:
        output = pattern.sub(instead, output)
    queued = tuple((DATE.sub(rb"\1DATE\n", m.message), m.sender, m.recipients) for m in home.messages())
    home.forget_messages()
    return Outcome(tuple(REPLY.findall(output)), session.status, queued, tuple(session.log))


@dataclass(frozen=True)
class Said:
    """A part of the stream (a command line, or all of a message), where it begins, and what was answered."""

    octets: bytes
    start: int
    reply: bytes


def dialogue(stream: bytes, replies: tuple[bytes, ...]) -> list[Said]:
    """Which part of the stream each reply answers; the greeting answers nothing."""
    said: list[Said] = []
    at, in_data = 0, False
    for number, reply in enumerate(replies):
        end = 0 if number == 0 else message_end(stream, at) if in_data else line_end(stream, at)
        said.append(Said(stream[at:end], at, reply))
        at, in_data = end, reply.startswith(b"354")
    return said


def line_end(stream: bytes, at: int) -> int:
    """Where the command line that begins at `at` ends."""
    return stream.find(b"\n", at) + 1 or len(stream)


def message_end(stream: bytes, at: int) -> int:
    """Where the message that begins at `at` ends."""
    if stream.startswith(b".\r\n", at):
        return at + 3
    found = stream.find(b"\r\n.\r\n", at)
    return len(stream) if found < 0 else found + 5
