"""The wrapped smtpd of a driver that may block: one connection of ours is its descriptors 0 and 1."""

import _socket
import posix
import select
from time import monotonic

from qmailfork.system import children, signals, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 5.0  # seconds for it to end after the session has
MOST_HEARD = 65536  # octets that it may say while it is told something
IN, OUT = 0, 1


class Wrapped:
    """A running smtpd with `errors` as its descriptor 2. Raises OSError where it cannot be executed."""

    __slots__ = ("_heard", "_ours", "_pid")

    def __init__(self, argv: list[bytes], environment: "Mapping[bytes, bytes]", errors: int) -> None:
        self._heard = b""
        self._ours, its = _socket.socketpair()
        try:
            self._pid = spawn.launch(argv, environment, ((its.fileno(), 0), (its.fileno(), 1), (errors, 2)))
        except OSError:
            self._ours.close()
            raise
        finally:
            its.close()
        self._ours.setblocking(False)

    def tell(self, octets: bytes, seconds: float) -> bool:
        """Send it `octets`; False where it is gone or does not take them for `seconds`."""
        rest = memoryview(octets)
        while rest:
            listening = select.POLLIN if len(self._heard) < MOST_HEARD else 0
            ready = children.ready(self._ours.fileno(), listening | select.POLLOUT, seconds)
            try:
                if ready & select.POLLIN and listening and not self._take():
                    return False
                if ready & select.POLLOUT:
                    rest = rest[self._ours.send(rest) :]
                elif not ready & select.POLLIN:
                    return False
            except OSError:
                return False
        return True

    def _take(self) -> bytes:
        block = self._ours.recv(children.BLOCK)
        self._heard += block
        return block

    def hear(self, seconds: float) -> bytes | None:
        """What it says next; b"" where it is gone, None where it says nothing for `seconds`."""
        if not self._heard:
            if not children.ready(self._ours.fileno(), select.POLLIN, seconds):
                return None
            try:
                self._take()
            except OSError:
                return b""
        heard, self._heard = self._heard, b""
        return heard

    def tunnel(self, seconds: float) -> None:
        """Carry octets between it and the client until one of them is gone, or both are silent for `seconds`."""
        near = self._ours.fileno()
        ways = {IN: near, near: OUT}
        poll = select.poll()
        for source in ways:
            poll.register(source, select.POLLIN)
        try:
            while ready := children.found(poll, seconds):
                for source, _ in ready:
                    block = posix.read(source, children.BLOCK)
                    if not block or not _write(ways[source], block, seconds):
                        return
        except OSError:
            return

    def close(self) -> None:
        """Leave it: it sees the end of its input, and is killed where that does not end it."""
        self._ours.close()
        watch = children.Watch(self._pid)
        poll = select.poll()
        longest = watch.attend(poll)
        deadline = monotonic() + PATIENCE
        status = watch.status()
        while status is None and (left := deadline - monotonic()) > 0:
            poll.poll(min(left * 1000, longest))
            status = watch.status()
        watch.close()
        if status is None:
            spawn.kill_group(self._pid, signals.SIGKILL)
            posix.waitpid(self._pid, 0)


def _write(descriptor: int, block: bytes, seconds: float) -> bool:
    """Write all; False where the other side does not take it for `seconds`. Raises OSError."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while block:
        if not children.found(poll, seconds):
            return False
        block = block[posix.write(descriptor, block[:4096]) :]
    return True
