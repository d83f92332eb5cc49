"""The smtpd behind, in wrap mode: started, told one command at a time, and heard."""

from qmailfork.conversation.requests import Hear, Start, Tell
from qmailfork.conversation.session import Session
from qmailfork.smtp import client, replies
from qmailfork.smtp.commands import EHLO, HELO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking


class Lost(Exception):
    """The child cannot be spoken with (any more); `condition` is the log's word for why."""

    def __init__(self, condition: bytes) -> None:
        self.condition = condition


class Closed(Exception):
    """The child closes the connection with this `reply`."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply


class Child:
    """The smtpd behind, in one session: what it `offers`; whether what it hides was `reported`."""

    __slots__ = ("_heard", "_seconds", "offers", "reported", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.reported = False
        self.offers: frozenset[bytes] = frozenset()
        self._heard = b""
        self._seconds = session.settings.child_seconds

    def start(self) -> "Asking[bytes]":
        """Its greeting. Raises Lost, Closed."""
        variables = self.session.variables
        if self.session.settings.tls:
            from qmailfork.conversation import relaytls  # noqa: PLC0415  # a host without TLS has no use for it

            variables = {**variables, **relaytls.variables(self.session)}
        reason = yield Start(list(self.session.settings.wrapped), variables)
        if reason:
            raise Lost(b"Exec")
        return (yield from self.reply())

    def again(self) -> "Asking[None]":
        """Start it once more, with what is known of the client now. Raises Lost, Closed."""
        yield from self.tell(b"QUIT\r\n")
        self._heard = b""
        said = yield from self.start()
        if replies.is_positive(said) and self.session.helo is not None:
            said = yield from self.ask(command(EHLO if self.session.extended else HELO, self.session.helo))
        if not replies.is_positive(said):
            raise Lost(b"Protocol")

    def ask(self, line: bytes) -> "Asking[bytes]":
        """Its reply to a command. Raises Lost, Closed.

        What it said before it was asked would be taken for the reply, and each reply for the next one's.
        """
        if self._heard:
            yield from self.reply()
            raise Lost(b"Protocol")
        yield from self.tell(line + b"\r\n")
        return (yield from self.reply())

    def end_message(self, took: bool) -> "Asking[bytes]":
        """Its reply to a message that it `took` but for the end. Raises Lost, Closed.

        It accepts none that it has not taken to the end: what it says before accepts nothing.
        """
        if took:
            self._heard += (yield Hear(0)) or b""
            if self._heard.startswith(b"2"):
                raise Lost(b"Protocol")
            took = yield Tell(b".\r\n", self._seconds, last=True)
        reply = yield from self.reply(patience=2)
        if not took and reply.startswith(b"2"):
            raise Lost(b"Protocol")
        return reply

    def tell(self, octets: bytes) -> "Asking[bool]":
        """Whether it took the octets; one that did not may still have something to say."""
        takes: bool = yield Tell(octets, self._seconds)
        return takes

    def reply(self, patience: int = 1) -> "Asking[bytes]":
        """What it says next, for which it has `patience` times the usual time. Raises Lost; Closed for a 421."""
        try:
            while (found := client.reply(self._heard)) is None:
                block = yield Hear(self._seconds * patience)
                if block is None:
                    raise Lost(b"Timeout")
                if not block:
                    raise Lost(b"Gone")
                self._heard += block
        except client.Nonsense:
            raise Lost(b"Protocol") from None
        reply, self._heard = found
        if reply.startswith(client.CLOSING):
            raise Closed(reply)
        return reply


def command(verb: bytes, argument: bytes) -> bytes:
    """A command as a client that behaves gives it."""
    return verb.upper() + (b" " + client.clean(argument) if argument else b"")
