"""A session with a client made of words: everything is told, and nothing is done but what checkers do.

The conversation is the one that serves mail. Its client is a generator that is sent each reply and yields its next
words; checkers are left to whoever carries them out; the queue takes everything and keeps nothing.
"""

from collections.abc import Callable, Generator
from time import gmtime, time
from typing import Any

from qmailfork.conversation import requests
from qmailfork.conversation.requests import Ending, Opened
from qmailfork.programs.journal import Event
from qmailfork.programs.outcome import EXITED, Outcome
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking

Client = Generator[bytes, bytes, None]


class Step:
    """One exchange: what the client `said` (empty before the greeting), the `reply`, and what was done in between.

    `ran` are the requests for checkers with their answers, `events` what the log would have, `waits` the seconds that
    the client is made to wait.
    """

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.reply = b""
        self.ran: list[tuple[Any, Any]] = []
        self.events: list[Event] = []
        self.waits = 0.0


class Queued:
    """What the queue `program` would have been given: the `message` and, once it is whole, the `envelope`."""

    def __init__(self, program: bytes) -> None:
        self.program = program
        self.message = b""
        self.envelope = b""


class Rehearsal:
    """The driver: `client` is the client, `carry_out` answers the requests for checkers.

    `steps` are the exchanges so far, `queued` the messages that were handed over, `ending` how it ended.
    """

    def __init__(self, client: Client, carry_out: Callable[[Any], object]) -> None:
        self.steps = [Step(b"")]
        self.queued: list[Queued] = []
        self.ending: Ending | None = None
        self._client = client
        self._carry_out = carry_out
        self._began = False
        self._unread = b""
        self._answers: dict[type, Callable[[Any], object]] = {
            requests.Exchange: self._exchange,
            requests.Listen: self._wait,
            requests.Wait: self._wait,
            requests.Open: self._open,
            requests.Write: self._write,
            requests.Finish: self._finish,
            requests.Abandon: self._abandon,
            requests.Note: self._note,
        }

    def drive(self, conversation: "Asking[Ending]") -> "Rehearsal":
        """Hold the conversation to its end, and return this rehearsal."""
        answer: object = None
        try:
            while True:
                request = conversation.send(answer)
                answer = self._answers.get(type(request), self._check)(request)
        except StopIteration as end:
            self.ending = end.value
            self.steps[-1].reply += end.value.reply
        return self

    def _exchange(self, request: requests.Exchange) -> bytes:
        self.steps[-1].reply += request.reply
        if not self._unread:
            self._unread = self._next(request.reply)
            if not self._unread:
                return b""
            self.steps.append(Step(self._unread))
        block, self._unread = self._unread[: request.most], self._unread[request.most :]
        return block

    def _wait(self, request: requests.Listen | requests.Wait) -> None:
        """This client keeps silent, and nobody has to wait for it."""
        self.steps[-1].reply += request.reply
        self.steps[-1].waits += request.seconds

    def _next(self, reply: bytes) -> bytes:
        try:
            if self._began:
                return self._client.send(reply)
            self._began = True
            return next(self._client)
        except StopIteration:
            return b""

    def _check(self, request: Any) -> object:
        answer = self._carry_out(request)
        self.steps[-1].ran.append((request, answer))
        return answer

    def _open(self, request: requests.Open) -> Opened:
        self.queued.append(Queued(request.program))
        return Opened(0, gmtime())

    def _write(self, request: requests.Write) -> None:
        self.queued[-1].message += request.piece

    def _finish(self, request: requests.Finish) -> tuple[Outcome, bool]:
        self.queued[-1].envelope = request.envelope
        return Outcome(EXITED, 0, when=int(time())), True

    def _abandon(self, request: requests.Abandon) -> None:
        self.queued.pop()

    def _note(self, request: requests.Note) -> None:
        self.steps[-1].events.append(request.event)


def client(helo: bytes | None, sender: bytes, recipients: list[bytes], message: bytes | None) -> Client:
    """A client with this envelope; `helo` None says no EHLO, `message` None goes before DATA.

    The `message` is lines that end in CR LF, dots doubled; it is sent where a recipient was accepted.
    """
    if helo is not None:
        yield b"EHLO " + helo + b"\r\n"
    yield b"MAIL FROM:" + path(sender) + b"\r\n"
    accepted = False
    for recipient in recipients:
        reply = yield b"RCPT TO:" + path(recipient) + b"\r\n"
        accepted = accepted or replies.is_positive(reply)
    if accepted and message is not None:
        reply = yield b"DATA\r\n"
        if replies.is_positive(reply):
            yield message + b".\r\n"
    yield b"QUIT\r\n"


def path(address: bytes) -> bytes:
    """`address` between angle brackets, so that the server reads exactly this one."""
    special = b'"\\>' + (b"@" if address.startswith(b"@") else b"")
    quoted = b"".join(b"\\" + bytes((octet,)) if octet in special else bytes((octet,)) for octet in address)
    return b"<" + quoted + b">"
