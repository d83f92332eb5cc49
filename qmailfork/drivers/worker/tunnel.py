"""Octets carried both ways between two descriptors, unseen, each way no faster than its receiver takes them."""

import posix

from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.system import children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Tunnel:
    """Carries along each of the `ways` (source, sink) until one of them ends, then calls `done`, once."""

    __slots__ = ("_done", "_moved", "_reactor", "_ways")

    def __init__(
        self,
        reactor: Reactor,
        ways: tuple[tuple[int, int], ...],
        moved: "Callable[[], None]",
        done: "Callable[[], None]",
    ) -> None:
        self._reactor = reactor
        self._ways = ways
        self._moved = moved
        self._done: Callable[[], None] | None = done
        for source, sink in ways:
            self._listen(source, sink)

    def _listen(self, source: int, sink: int) -> None:
        self._reactor.on_readable(source, lambda: self._carry(source, sink))

    def _carry(self, source: int, sink: int) -> None:
        try:
            block = posix.read(source, children.BLOCK)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        if not block:
            self._end()
            return
        self._moved()
        self._write(source, sink, block)

    def _write(self, source: int, sink: int, block: bytes) -> None:
        if self._done is None:
            return  # called once too often
        try:
            block = block[posix.write(sink, block) :]
        except BlockingIOError:
            pass
        except OSError:
            self._end()
            return
        if block:
            self._reactor.ignore_readable(source)
            self._reactor.on_writable(sink, lambda: self._write(source, sink, block))
        else:
            self._reactor.ignore_writable(sink)
            self._listen(source, sink)

    def _end(self) -> None:
        done, self._done = self._done, None
        for source, sink in self._ways:
            self._reactor.ignore_readable(source)
            self._reactor.ignore_writable(sink)
        if done:
            done()
