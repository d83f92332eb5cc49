"""The event loop's descriptors, with the one rule that keeps every loop alive.

A descriptor is closed a turn after its reader and writer were taken out of the loop. libuv takes a watcher out of the
kernel's list at the end of the turn: a descriptor that was closed in between is unknown there, which libuv answers
with abort(), and its number may belong to another one by then.

And libuv forgets a descriptor as soon as it has an error on it, once it has told of it: who then reads what came before
the error, and waits for more, waits in vain (`forgetful`).
"""

import asyncio
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Reactor:
    """An asyncio `loop`, and the descriptors that it watches for us.

    `forgetful`: the loop is libuv's, and may have forgotten a descriptor that it told of.
    """

    __slots__ = ("_readers", "_writers", "forgetful", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.forgetful = type(loop).__module__.startswith("uvloop")
        self._readers: dict[int, Callable[[], object]] = {}
        self._writers: set[int] = set()

    def on_readable(self, descriptor: int, call: "Callable[[], object]") -> None:
        """Call whenever `descriptor` can be read, until told otherwise."""
        self._readers[descriptor] = call
        self.loop.add_reader(descriptor, call)

    def remind(self, descriptor: int) -> None:
        """Let a forgetful loop look at a descriptor anew that it watches for what can be read."""
        call = self._readers[descriptor]
        self.loop.remove_reader(descriptor)
        self.loop.add_reader(descriptor, call)

    def on_writable(self, descriptor: int, call: "Callable[[], object]") -> None:
        """Call whenever `descriptor` can be written, until told otherwise."""
        self._writers.add(descriptor)
        self.loop.add_writer(descriptor, call)

    def ignore_readable(self, descriptor: int) -> None:
        """No longer call for what can be read."""
        if descriptor in self._readers:
            del self._readers[descriptor]
            self.loop.remove_reader(descriptor)

    def ignore_writable(self, descriptor: int) -> None:
        """No longer call for what can be written."""
        if descriptor in self._writers:
            self._writers.remove(descriptor)
            self.loop.remove_writer(descriptor)

    def close(self, descriptor: int) -> None:
        """Forget `descriptor` and close it: at once where the loop never knew it, else in the next turn."""
        watched = descriptor in self._readers or descriptor in self._writers
        self.ignore_readable(descriptor)
        self.ignore_writable(descriptor)
        if watched:
            self.loop.call_soon(posix.close, descriptor)
        else:
            posix.close(descriptor)
