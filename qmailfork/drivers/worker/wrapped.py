"""The wrapped smtpd of one session beside the event loop: one connection of ours is its descriptors 0 and 1."""

import _socket

from qmailfork.drivers.worker.children import Reaper
from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.drivers.worker.tunnel import Tunnel
from qmailfork.system import children, signals, spawn
from qmailfork.system.wrapped import MOST_HEARD, PATIENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Wrapped:
    """A running smtpd with `errors` as its descriptor 2. Raises OSError where it cannot be executed."""

    __slots__ = ("_ended", "_gone", "_heard", "_ours", "_pid", "_reactor", "_rest", "_when_heard", "_when_told")

    def __init__(
        self, reactor: Reactor, reaper: Reaper, argv: list[bytes], environment: "Mapping[bytes, bytes]", errors: int
    ) -> None:
        self._reactor = reactor
        self._heard = b""
        self._gone = self._ended = False
        self._rest = memoryview(b"")
        self._when_heard: Callable[[bytes | None], None] | None = None
        self._when_told: Callable[[bool], None] | None = None
        ours, its = _socket.socketpair()
        try:
            self._pid = spawn.launch(argv, environment, ((its.fileno(), 0), (its.fileno(), 1), (errors, 2)))
        except OSError:
            ours.close()
            raise
        finally:
            its.close()
        ours.setblocking(False)
        self._ours = ours
        reaper.watch(self._pid, self._on_end)
        reactor.on_readable(ours.fileno(), self._read)

    def _on_end(self, status: int) -> None:
        self._ended = True

    def tell(self, octets: bytes, done: "Callable[[bool], None]") -> bool | None:
        """Send it `octets`: whether it took them; None where `done` is called later."""
        try:
            sent = self._ours.send(octets) if octets else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent == len(octets):
            return True
        self._rest = memoryview(octets)[sent:]
        self._when_told = done
        self._reactor.on_writable(self._ours.fileno(), self._write)
        return None

    def _write(self) -> None:
        try:
            self._rest = self._rest[self._ours.send(self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            self._told(False)
            return
        if not self._rest:
            self._told(True)

    def _told(self, took: bool) -> None:
        self._reactor.ignore_writable(self._ours.fileno())
        self._rest = memoryview(b"")
        told, self._when_told = self._when_told, None
        if told:
            told(took)

    def hear(self, done: "Callable[[bytes | None], None]") -> bytes | None:
        """What it says next, b"" where it is gone; None where `done` is called later."""
        if self._heard or self._gone:
            return self._take()
        self._when_heard = done
        self._reactor.on_readable(self._ours.fileno(), self._read)
        return None

    def overhear(self) -> bytes | None:
        """What it has said by now, b"" where it is gone; None where that is nothing."""
        self._read()
        return self._take() if self._heard or self._gone else None

    def _take(self) -> bytes:
        heard, self._heard = self._heard, b""
        return heard

    def _read(self) -> None:
        try:
            block = self._ours.recv(children.BLOCK)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        self._heard += block
        self._gone = not block
        if self._gone or len(self._heard) >= MOST_HEARD:
            self._reactor.ignore_readable(self._ours.fileno())
        heard, self._when_heard = self._when_heard, None
        if heard:
            heard(self._take())

    def expire(self) -> None:
        """It took too long to take what it was told, or to say something."""
        heard, self._when_heard = self._when_heard, None
        if heard:
            heard(None)
        else:
            self._told(False)

    def tunnel(self, source: int, sink: int, moved: "Callable[[], None]", done: "Callable[[], None]") -> None:
        """Carry octets between it and the client until one of them is gone; `moved` is called with each block."""
        near = self._ours.fileno()
        Tunnel(self._reactor, ((source, near), (near, sink)), moved, done)

    def leave(self) -> None:
        """It sees the end of its input, and is killed where that does not end it."""
        self._reactor.close(self._ours.detach())
        if not self._ended:
            self._reactor.loop.call_later(PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        if not self._ended:
            spawn.kill_group(self._pid, signals.SIGKILL)
