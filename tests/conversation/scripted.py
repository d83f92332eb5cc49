"""A driver for the conversation without any I/O: its answers are a script, what it is asked for is kept.

It holds the conversation to its own part: the queue is opened, written to and closed in that order.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qmailfork.conversation.dialogue import converse
from qmailfork.conversation.requests import (
    Abandon,
    Ending,
    Exchange,
    Finish,
    Listen,
    Lookup,
    Note,
    Open,
    Opened,
    Run,
    Wait,
    Write,
)
from qmailfork.conversation.settings import Settings
from qmailfork.programs.checkers import Contract
from qmailfork.programs.journal import Event
from qmailfork.programs.outcome import EXITED, Outcome
from qmailfork.programs.peer import Peer

MOMENT = (2026, 11, 24, 2, 22, 39)
RECEIVED = b"Received: from unknown (%b203.0.113.7)\n  by mail.joedomain.net with SMTP; 24 Nov 2026 02:22:39 -0000\n"
PEER = Peer(b"203.0.113.7", b"unknown", None, b"mail.joedomain.net", b"40000", (b"192.0.2.1", b"25"), b"4711.1")
GREETING = b"220 mail.joedomain.net ESMTP\r\n"
HELO, MAIL, RCPT = b"HELO foo\r\n", b"MAIL FROM:<a@example.net>\r\n", b"RCPT TO:<joe@joedomain.net>\r\n"
OK, GO_AHEAD, QUEUED = b"250 ok\r\n", b"354 go ahead\r\n", b"250 ok 1732413099 qp 4713\r\n"

Arrival = bytes | None  # None: the time is over


def site(environment: Mapping[bytes, bytes] | None = None, **changes: Any) -> Settings:
    """The settings of mail.joedomain.net, with `changes`; the checkers' part from `environment`."""
    settings = Settings()
    defaults: dict[str, Any] = {
        "greeting": b"mail.joedomain.net", "local_host": b"mail.joedomain.net", "seconds": 1200,
        "is_mine": lambda ip: ip == b"192.0.2.1", "bad_senders": frozenset(), "databytes": 0, "loglevel": 0,
        "rcpthosts": frozenset([b"joedomain.net"]), "more_rcpthosts": None, "relay_suffix": None,
        "queue": b"bin/qmail-queue", "checkers": Contract(environment or {}), "tls": None, "auth": None,
        "switches": None, "extensions": frozenset(),
    }  # fmt: skip
    for name, value in {**defaults, **changes}.items():
        setattr(settings, name, value)
    return settings


@dataclass
class Script:
    """What the driver answers. `run` takes argv and the three variables."""

    run: Callable[[list[bytes], dict[bytes, bytes]], Outcome] = lambda argv, environment: Outcome(EXITED, 0)
    names: Callable[[bytes], object] = lambda name: [b"192.0.2.1"]
    early: bytes | None = None  # what the client says before the greeting
    opened: Opened | bytes = field(default_factory=lambda: Opened(4713, MOMENT))
    finished: tuple[Outcome, bool] = field(default_factory=lambda: (Outcome(EXITED, 0, b"", 0.0, 1732413099), True))


class Played:
    """How a conversation went: `exchanges` the reply sent in each, `said` all of them and the ending's; `queued` the
    messages handed over with their envelopes, `abandoned` those that were not; `notes`, `runs`, `waited` (seconds for
    the client), `waits` (seconds that it had to wait), `asked` (of DNS).
    """

    def __init__(self, script: Script, arrivals: Iterable[Arrival]) -> None:
        self.script = script
        self.arrivals = iter(arrivals)
        self.unread = b""
        self.exchanges: list[bytes] = []
        self.waits: list[float] = []
        self.asked: list[tuple[bytes, tuple[str, ...]]] = []
        self.waited: set[float] = set()
        self.queued: list[tuple[bytes, bytes]] = []
        self.abandoned: list[bytes] = []
        self.notes: list[Event] = []
        self.runs: list[Run] = []
        self.message: list[bytes] | None = None
        self.ending = Ending(b"", -1)

    @property
    def said(self) -> bytes:
        return b"".join(self.exchanges) + self.ending.reply

    @property
    def conditions(self) -> list[bytes]:
        return [event.condition for event in self.notes]

    def answer(self, request: object) -> object:
        match request:
            case Listen():
                self.waits.append(request.seconds)
                return self.script.early
            case Lookup():
                self.asked.append((request.name, request.kinds))
                return self.script.names(request.name)
            case Wait():
                self.exchanges.append(request.reply)
                self.waits.append(request.seconds)
                return None
            case Exchange():
                self.exchanges.append(request.reply)
                self.waited.add(request.seconds)
                return self.arrival(request.most)
            case Run():
                self.runs.append(request)
                return self.script.run(request.argv, request.environment)
            case Note():
                return self.notes.append(request.event)
            case _:
                return self.answer_for_the_queue(request)

    def arrival(self, most: int) -> Arrival:
        arrived = self.unread or next(self.arrivals, b"")
        if arrived is None:
            return None
        self.unread = arrived[most:]
        return arrived[:most]

    def answer_for_the_queue(self, request: object) -> object:
        if isinstance(request, Open):
            assert self.message is None, "opened twice"
            self.message = [] if isinstance(self.script.opened, Opened) else None
            return self.script.opened
        assert self.message is not None, f"{request} without a queue"
        if isinstance(request, Write):
            assert request.piece, "an empty piece"
            return self.message.append(request.piece)
        message, self.message = b"".join(self.message), None
        if isinstance(request, Finish):
            self.queued.append((message, request.envelope))
            return self.script.finished
        assert isinstance(request, Abandon)
        return self.abandoned.append(message)


def play(arrivals: Iterable[Arrival], settings: Settings | None = None, script: Script | None = None) -> Played:
    """The whole conversation with a client that sends `arrivals` and is then gone."""
    played = Played(script or Script(), arrivals)
    conversation = converse(settings or site(), PEER)
    answer: object = None
    try:
        while True:
            answer = played.answer(conversation.send(answer))
    except StopIteration as end:
        played.ending = end.value
    assert played.message is None, "the queue was left open"
    return played


def replies(played: Played) -> list[bytes]:
    """Each line that was said, without the greeting and its end."""
    return played.said.split(b"\r\n")[1:-1]
