"""A client under TLS, for a driver that may block."""

from time import monotonic

from qmailfork.conversation.requests import Insecure, StartTls
from qmailfork.system import tls
from qmailfork.system.certificates import Unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[bytes, float], bool]
    Receive = Callable[[int, float], bytes | None]

BLOCK = 65536


class Channel:
    """The client behind `engine`, whose octets `receive` brings; `facts` are the variables about it."""

    __slots__ = ("_engine", "_receive", "facts")

    def __init__(self, engine: tls.Engine, receive: "Receive") -> None:
        self._engine = engine
        self._receive = receive
        self.facts = engine.facts()

    def seal(self, reply: bytes) -> bytes:
        """The octets that carry `reply`."""
        return self._engine.seal(reply)

    def farewell(self) -> bytes:
        """The octets that say that nothing more comes."""
        return self._engine.farewell()

    def receive(self, most: int, seconds: float) -> bytes | None:
        """What the client says, at the `most` so many octets: b"" where it is gone, None after `seconds`."""
        until = monotonic() + seconds
        said = self._engine.open(b"", most)
        while said is None:
            block = self._receive(BLOCK, max(until - monotonic(), 0))
            if not block:
                return block
            said = self._engine.open(block, most)
        return said


def begin(request: StartTls, send: "Send", receive: "Receive") -> Channel | Insecure:
    """The handshake: the channel it leads to, or why it did not."""
    try:
        engine = tls.Engine(tls.context(request.tls))
    except Unusable as fault:
        return Insecure(str(fault).encode(errors="surrogateescape"), begun=False)
    reason = _shake(engine, request, send, receive)
    return Insecure(reason, begun=True) if reason else Channel(engine, receive)


def _shake(engine: tls.Engine, request: StartTls, send: "Send", receive: "Receive") -> bytes:
    """Why the handshake failed, empty where it did not."""
    until = monotonic() + request.seconds
    answer, done = request.reply, False
    while send(answer, request.seconds):
        if done:
            return b""
        block = receive(BLOCK, max(until - monotonic(), 0))
        if not block:
            return b"connection closed" if block is not None else b"timeout"
        try:
            done = engine.shake(block)
        except tls.Failed as fault:
            send(engine.outgoing(), request.seconds)
            return str(fault).encode()
        answer = engine.outgoing()
    return b"connection closed"
