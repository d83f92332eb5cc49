"""A session's client under TLS, on the event loop: what passes between its descriptors and the conversation."""

from qmailfork.conversation.requests import Exchange, Insecure, Secured, StartTls
from qmailfork.system import tls
from qmailfork.system.certificates import Unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from qmailfork.drivers.worker.session import Session

BLOCK = 65536


class Secure:
    """TLS between a `session` and its client."""

    __slots__ = ("_engine", "_loop", "_most", "_session", "_until")

    def __init__(self, session: "Session", loop: "asyncio.AbstractEventLoop") -> None:
        self._session = session
        self._loop = loop
        self._most = 0
        self._until = 0.0

    def begin(self, request: StartTls) -> Insecure | None:
        """Begin the handshake, at whose end the session is resumed; an answer at once where that cannot be."""
        self._until = self._loop.time() + request.seconds
        try:
            self._engine = tls.Engine(tls.context(request.tls))
        except Unusable as fault:
            self._session.plain()
            return Insecure(str(fault).encode(errors="surrogateescape"), begun=False)
        self._await(request.reply, self._shake)
        return None

    def _await(self, octets: bytes, taker: "Callable[[bytes | None], None]") -> None:
        """Send `octets` and wait for more; pieces of a record do not lengthen the client's time."""
        self._session.client.talk(octets, max(self._until - self._loop.time(), 0), BLOCK, taker)

    def _shake(self, block: bytes | None) -> None:
        if not block:
            self._fail(b"timeout" if block is None else b"connection closed")
            return
        try:
            done = self._engine.shake(block)
        except tls.Failed as fault:
            reason = str(fault).encode()
            self._session.client.send(self._engine.outgoing(), lambda sent: self._fail(reason))
            return
        if done:
            self._session.client.send(self._engine.outgoing(), self._succeed)
        else:
            self._await(self._engine.outgoing(), self._shake)

    def _fail(self, reason: bytes) -> None:
        self._session.plain()
        self._session.resume(Insecure(reason, begun=True))

    def _succeed(self, sent: bool) -> None:
        if sent:
            self._session.resume(Secured(self._engine.facts()))
        else:
            self._fail(b"connection closed")

    def exchange(self, request: Exchange) -> None:
        """As the session's own, with the octets of TLS in between."""
        self._most, self._until = request.most, self._loop.time() + request.seconds
        reply = self._engine.seal(request.reply)
        said = self._engine.open(b"", self._most)
        if said is None:
            self._await(reply, self._take)
        else:  # in the next turn: what came in one record would hold up everyone else
            self._session.client.send(reply, lambda sent: self._later(said if sent else b""))

    def _later(self, said: bytes) -> None:
        self._loop.call_soon(self._session.resume, said)

    def _take(self, block: bytes | None) -> None:
        said = self._engine.open(block, self._most) if block else block
        if block and said is None:
            self._await(b"", self._take)
        else:
            self._session.resume(said)

    def seal(self, reply: bytes) -> bytes:
        """`reply` as it goes to the client."""
        return self._engine.seal(reply)

    def farewell(self, reply: bytes) -> bytes:
        """The last octets: `reply`, and that nothing comes any more."""
        return self._engine.seal(reply) + self._engine.farewell()
