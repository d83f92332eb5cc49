"""Connections from a load balancer, each of which begins with a PROXY header; nothing behind it is read here."""

import socket

from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.system import proxyheader
from qmailfork.system.proxyheader import Malformed, Told

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable


class Awaiting:
    """The time until the header of `sock` is whole, at most `seconds`.

    `then` is called with what it tells, `refuse` with why there is none.
    """

    __slots__ = ("_header", "_reactor", "_refuse", "_sock", "_then", "_timer")

    def __init__(
        self,
        reactor: Reactor,
        sock: "_socket.socket",
        seconds: float,
        then: "Callable[[Told], None]",
        refuse: "Callable[[str], None]",
    ) -> None:
        self._reactor = reactor
        self._sock = sock
        self._then = then
        self._refuse = refuse
        self._header = b""
        self._timer = reactor.loop.call_later(seconds, self.expire)
        reactor.on_readable(sock.fileno(), self._read)

    def expire(self) -> None:
        """Its time is over."""
        self._end("timeout")

    def _read(self) -> None:
        try:
            told = self._take()
        except BlockingIOError:
            return
        except OSError as fault:
            self._end((fault.strerror or "").lower())
        except (Malformed, EOFError) as fault:
            self._end(str(fault))
        else:
            if told:
                self._leave()
                self._then(told)

    def _take(self) -> Told | None:
        """Read what is there of the header; what it tells once it is whole. Raises OSError, EOFError, Malformed."""
        before = len(self._header)
        seen = self._sock.recv(proxyheader.LONGEST, socket.MSG_PEEK)
        if not seen:
            raise EOFError("connection closed")
        octets = self._header + seen
        whole = proxyheader.extent(octets)
        self._header = octets[:whole]
        self._sock.recv(len(self._header) - before)
        return proxyheader.parse(self._header) if len(self._header) == whole else None

    def _end(self, why: str) -> None:
        self._leave()
        self._refuse(why)

    def _leave(self) -> None:
        self._timer.cancel()
        self._reactor.ignore_readable(self._sock.fileno())
