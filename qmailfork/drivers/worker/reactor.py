"""The descriptors of a worker, beside its asyncio loop.

A session has ten events, each worth a few microseconds; an event loop made for all purposes takes more than that to
hand one over. So the descriptors stand in an epoll of our own, and the loop, asyncio's or uvloop's, watches that one:
it keeps the time, the signals and the name server, and learns of a batch of events where there are many.

It also keeps uvloop alive. libuv hands what changed about a descriptor to the kernel at the end of a turn: that it is
watched now, or still, for reading or writing alone. Where it was closed meanwhile, libuv calls abort(). So a session
under large mail that has its reader removed while its writer stays, and is closed in the same turn, would end the
worker. A descriptor that nobody watches any more may be closed at once. Where there is no epoll (FreeBSD), the loop
watches the descriptors itself: close() sees to it that it forgets both. Then libuv has to be reminded, too: it tells
once of a descriptor with an error on it and no more, whoever has yet to find the error behind what can be read.
"""

import asyncio
import posix
import select
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[[], object]

TURN = 0.01  # seconds of batches before the loop has its turn


class Reactor:
    """Calls when descriptors can be read or written, by the asyncio `loop` itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._forgets = type(loop).__module__.startswith("uvloop")
        self._readers: set[int] = set()
        self._writers: set[int] = set()

    def on_readable(self, descriptor: int, call: "Call") -> None:
        """Call whenever `descriptor` can be read, until told otherwise."""
        self._readers.add(descriptor)
        self.loop.add_reader(descriptor, self._readable, descriptor, call)

    def _readable(self, descriptor: int, call: "Call") -> None:
        if self._forgets:
            self.loop.remove_reader(descriptor)
            self.loop.add_reader(descriptor, self._readable, descriptor, call)
        call()

    def on_writable(self, descriptor: int, call: "Call") -> None:
        """Call whenever `descriptor` can be written, until told otherwise."""
        self._writers.add(descriptor)
        self.loop.add_writer(descriptor, call)

    def ignore_readable(self, descriptor: int) -> None:
        """No longer call for what can be read."""
        if descriptor in self._readers:
            self._readers.remove(descriptor)
            self.loop.remove_reader(descriptor)

    def ignore_writable(self, descriptor: int) -> None:
        """No longer call for what can be written."""
        if descriptor in self._writers:
            self._writers.remove(descriptor)
            self.loop.remove_writer(descriptor)

    def close(self, descriptor: int) -> None:
        """Forget `descriptor` and close it."""
        self.ignore_readable(descriptor)
        self.ignore_writable(descriptor)
        posix.close(descriptor)


class EpollReactor(Reactor):
    """The same by an epoll of our own, which the `loop` watches. A call may come once too often: callees bear it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._epoll = select.epoll()
        self._calls: dict[int, tuple[Call | None, Call | None]] = {}  # descriptor → when readable, when writable
        loop.add_reader(self._epoll.fileno(), self._turn)

    def _turn(self) -> None:
        poll, calls, until = self._epoll.poll, self._calls, monotonic() + TURN
        while batch := poll(0):
            for descriptor, events in batch:
                reader, writer = calls.get(descriptor, (None, None))
                if reader and events & ~select.EPOLLOUT:
                    reader()
                if writer and events & ~select.EPOLLIN:
                    writer()
            if monotonic() > until:
                return

    def _watch(self, descriptor: int, reader: "Call | None", writer: "Call | None") -> None:
        known = descriptor in self._calls
        events = (select.EPOLLIN if reader else 0) | (select.EPOLLOUT if writer else 0)
        if not events:
            if known:
                del self._calls[descriptor]
                self._epoll.unregister(descriptor)
            return
        self._calls[descriptor] = reader, writer
        if known:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)

    def on_readable(self, descriptor: int, call: "Call") -> None:
        """Call whenever `descriptor` can be read, until told otherwise."""
        self._watch(descriptor, call, self._calls.get(descriptor, (None, None))[1])

    def on_writable(self, descriptor: int, call: "Call") -> None:
        """Call whenever `descriptor` can be written, until told otherwise."""
        self._watch(descriptor, self._calls.get(descriptor, (None, None))[0], call)

    def ignore_readable(self, descriptor: int) -> None:
        """No longer call for what can be read."""
        self._watch(descriptor, None, self._calls.get(descriptor, (None, None))[1])

    def ignore_writable(self, descriptor: int) -> None:
        """No longer call for what can be written."""
        self._watch(descriptor, self._calls.get(descriptor, (None, None))[0], None)

    def close(self, descriptor: int) -> None:
        """Forget `descriptor` and close it."""
        if descriptor in self._calls:
            del self._calls[descriptor]
            self._epoll.unregister(descriptor)
        posix.close(descriptor)


def reactor(loop: asyncio.AbstractEventLoop) -> Reactor:
    """The best that this system has, on `loop`."""
    return EpollReactor(loop) if hasattr(select, "epoll") else Reactor(loop)
