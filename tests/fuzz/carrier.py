"""A driver that answers as drivers may: programs that pass, refuse, crash and hang, a queue that fails, TLS that fails.

Its answers come from a random number and from the order of what is asked, not from how the client's octets arrive.
"""

import hashlib
from collections.abc import Iterable
from random import Random
from typing import Any

from qmailfork.conversation import requests
from qmailfork.conversation.requests import Ending, Insecure, Opened, Secured
from qmailfork.programs import outcome
from qmailfork.programs.journal import Event
from qmailfork.programs.outcome import Outcome

MOMENT = (2026, 11, 24, 2, 22, 39)
FACTS = {b"SSL_PROTOCOL": b"TLSv1.3", b"SSL_CIPHER": b"x"}
CERTIFIED = {**FACTS, b"SSL_CLIENT_S_DN_Email": b"MX@example.net"}  # as tlsclients has it
OUTPUTS = (
    b"", b"", b"", b"text", b"X-A: 1\nX-B: 2\n", b"H:X-A: 1\n", b"E550 no\n", b"a\r\n250 forged\r\n", b"\0\xff\x07",
    b"x" * 3000,
    b"action=DUNNO\n\n", b"action=reject no\n\n", b"action=defer_if_permit later\n\n", b"action=\n\n",
    b"action=prepend X: y\n\n",
    b"Cache: session\n", b"Reply: 550 no\n", b"Dno such mailbox", b"Zlater", b"R", b"A", b"N",
)  # fmt: skip
CODES = (0,) * 12 + (100, 101, 102, 111, 1, 31, 51, 53, 81, 82, 88, 99, 127, 255)
REPLIES = (
    *(b"250 ok\r\n",) * 12, b"550 no\r\n", b"451 later\r\n", b"250-a\r\n250 b\r\n", b"421 bye\r\n", b"nonsense\r\n",
    b"250", b"",
    b"354 go ahead\r\n", b"334 \r\n", b"250 a\r\n250 b\r\n", b"250-a\r\n550 b\r\n", b"235 in\r\n", b"250 \x01\x02\r\n",
)  # fmt: skip


class Carried:
    """How a conversation went: `said` to the client, the `events`, what was `done` in order, the `ending`.

    `secrets` are the passwords and digests that it was entrusted with, `users` whose they are.
    """

    def __init__(self, seed: int, arrivals: Iterable[bytes], inner: Iterable[bytes] = ()) -> None:
        """`inner` is what arrives once TLS was tried: what came in plain behind STARTTLS may be lost or not."""
        self._inner = iter(inner)
        self.said: list[bytes] = []
        self.events: list[Event] = []
        self.done: list[tuple[object, ...]] = []
        self.ending = Ending(b"", -1)
        self.secrets: list[bytes] = []
        self.users: list[bytes] = []
        self._chance = Random(seed)
        self._late = self._chance.random() < 0.2
        self._arrivals = iter(arrivals)
        self._unread = b""
        self._message: Any = None
        self._child: Child | None = None

    def drive(self, conversation: Any) -> "Carried":
        """Hold the conversation to its end."""
        answer: object = None
        try:
            while True:
                request = conversation.send(answer)
                assert type(request) in _ANSWERS, (
                    f"no answer here to {type(request).__name__}: it belongs into this table"
                )
                answer = _ANSWERS[type(request)](self, request)
        except StopIteration as end:
            self.ending = end.value
        assert self._message is None, "the queue was left open"
        self.said.append(self.ending.reply)
        return self

    def _exchange(self, request: requests.Exchange) -> bytes | None:
        self.said.append(request.reply)
        arrived = self._unread or next(self._arrivals, b"")
        if not arrived:
            return None if self._late else b""
        self._unread = arrived[request.most :]
        return arrived[: request.most]

    def _listen(self, request: requests.Listen) -> bytes | None:
        return None if self._chance.random() < 0.8 else self._exchange(request)

    def _wait(self, request: requests.Wait) -> None:
        self.said.append(request.reply)

    def _lookup(self, request: requests.Lookup) -> list[str] | None:
        self.done.append(("Lookup", request.name, request.kinds))
        return self._chance.choice((["mx.example.net."], [], [], None))

    def _program(self, request: Any) -> Outcome:
        self.done.append((type(request).__name__, request.argv, tuple(sorted(request.environment))))
        for name, value in request.environment.items():
            assert b"\0" not in name + (value or b""), request.environment
        return self._outcome((outcome.EXITED,) * 9 + (outcome.SIGNALLED, outcome.EXPIRED, outcome.UNSTARTED))

    def _entrust(self, request: requests.Entrust) -> Outcome:
        assert len(request.secret) <= request.MOST
        user, proof, _, rest = request.secret.split(b"\0")
        assert user
        assert proof
        assert not rest
        self.done.append(("secret", request.secret))
        self.users.append(user)
        self.secrets.append(proof)
        return self._program(request)

    def _consult(self, request: requests.Consult) -> Outcome:
        self.done.append(("Consult", request.address, request.question))
        return self._outcome((outcome.ANSWERED,) * 9 + (outcome.BROKEN, outcome.EXPIRED, outcome.UNSTARTED))

    def _outcome(self, ends: tuple[str, ...]) -> Outcome:
        return Outcome(
            self._chance.choice(ends), self._chance.choice(CODES), self._chance.choice(OUTPUTS), 1.0, 1732413099
        )

    def _open(self, request: requests.Open) -> Opened | bytes:
        assert self._message is None, "opened twice"
        self.done.append(("Open", request.program))
        if self._chance.random() < 0.05:
            return b"no room"
        self._message = hashlib.blake2b()
        return Opened(4713, MOMENT)

    def _write(self, request: requests.Write) -> None:
        assert self._message is not None
        assert request.piece, "an empty piece"
        self._message.update(request.piece)

    def _finish(self, request: requests.Finish) -> tuple[Outcome, bool]:
        assert is_envelope(request.envelope), request.envelope
        self.done.append(("Finish", self._message.digest(), request.envelope))
        self._message = None
        return self._outcome(
            (outcome.EXITED,) * 9 + (outcome.SIGNALLED, outcome.UNSTARTED)
        ), self._chance.random() < 0.95

    def _abandon(self, request: requests.Abandon) -> None:
        assert self._message is not None
        self.done.append(("Abandon",))
        self._message = None

    def _start_tls(self, request: requests.StartTls) -> Secured | Insecure:
        kind = self._chance.random()
        if kind < 0.1:
            return Insecure(b"no certificate", begun=False)
        self.said.append(request.reply)
        self._unread, self._arrivals = b"", self._inner
        return Secured(FACTS if kind < 0.6 else CERTIFIED) if kind < 0.8 else Insecure(b"no shared cipher", begun=True)

    def _start(self, request: requests.Start) -> bytes | None:
        self._child = Child(self._chance)
        return b"no such file" if self._chance.random() < 0.02 else None

    def _tell(self, request: requests.Tell) -> bool:
        assert self._child
        return self._child.take(request.octets)

    def _hear(self, request: requests.Hear) -> bytes | None:
        assert self._child
        return self._child.say()

    def _note(self, request: requests.Note) -> None:
        self.events.append(request.event)

    def _tunnel(self, request: requests.Tunnel) -> None:
        self.said.append(request.reply)


class Child:
    """A wrapped smtpd that answers each line with anything; after a 354 it reads up to the message's end."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._says = b"220 child ESMTP\r\n"
        self._arrived = b""
        self._in_data = False
        self._ended = False

    def take(self, octets: bytes) -> bool:
        """The octets that it is told."""
        self._arrived += octets
        while not self._ended and (end := self._arrived.find(b"\n")) >= 0:
            line, self._arrived = self._arrived[: end + 1], self._arrived[end + 1 :]
            assert line.endswith(b"\r\n"), line
            if not self._in_data or line == b".\r\n":
                self._reply(line)
        if self._in_data:
            self._arrived = (
                self._arrived[:2] if len(self._arrived) > 3 else self._arrived
            )  # long, but no end of a message
        return not self._ended

    def _reply(self, line: bytes) -> None:
        usual = b"354 go ahead\r\n" if line == b"DATA\r\n" else b"250 ok\r\n"
        reply = usual if self._chance.random() < 0.8 else self._chance.choice(REPLIES)
        self._in_data = not self._in_data and line == b"DATA\r\n" and reply.startswith(b"354")
        self._ended = reply in (b"", b"421 bye\r\n", b"nonsense\r\n")
        self._says += reply

    def say(self) -> bytes | None:
        """What it says; None where it keeps silent, b"" where it is gone."""
        said, self._says = self._says, b""
        return said or (b"" if self._ended else None)


def is_envelope(envelope: bytes) -> bool:
    """Whether it is F sender NUL (T recipient NUL)+ NUL."""
    if not envelope.endswith(b"\0\0") or not envelope.startswith(b"F"):
        return False
    _, *recipients = envelope[:-2].split(b"\0")
    return bool(recipients) and all(recipient.startswith(b"T") for recipient in recipients)


_ANSWERS: dict[type, Any] = {
    requests.Exchange: Carried._exchange,
    requests.Listen: Carried._listen,
    requests.Wait: Carried._wait,
    requests.Lookup: Carried._lookup,
    requests.StartTls: Carried._start_tls,
    requests.Run: Carried._program,
    requests.RunWarm: Carried._program,
    requests.Entrust: Carried._entrust,
    requests.Consult: Carried._consult,
    requests.Open: Carried._open,
    requests.Write: Carried._write,
    requests.Finish: Carried._finish,
    requests.Abandon: Carried._abandon,
    requests.Start: Carried._start,
    requests.Tell: Carried._tell,
    requests.Hear: Carried._hear,
    requests.Tunnel: Carried._tunnel,
    requests.Note: Carried._note,
}
