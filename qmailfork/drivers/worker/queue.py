"""The queue program of one session beside the event loop, with back-pressure: a slow one slows the client."""

from time import monotonic

from qmailfork.drivers.worker.children import Reaper
from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.programs.outcome import Outcome
from qmailfork.system import children, signals, spawn
from qmailfork.system.queue import PATIENCE, Handover

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Queue:
    """A hand-over that is under way. Each step says whether it is done; if not, its callback is called later."""

    __slots__ = ("_handover", "_on_end", "_patience", "_reactor", "_reaper", "_rest", "_stalled")

    def __init__(self, reactor: Reactor, reaper: Reaper, handover: Handover) -> None:
        self._reactor = reactor
        self._reaper = reaper
        self._handover = handover
        self._rest = memoryview(b"")
        self._stalled: Callable[[], None] | None = None
        self._on_end: Callable[[Outcome, bool], None] | None = None
        self._patience: asyncio.TimerHandle | None = None

    def write(self, piece: bytes, done: "Callable[[], None]") -> bool:
        """A piece of the message."""
        return self._put(self._handover.message, piece, done)

    def _put(self, descriptor: int, data: bytes, done: "Callable[[], None]") -> bool:
        self._rest = self._handover.put(descriptor, memoryview(data))
        if not self._rest:
            return True
        self._stalled = lambda: self._go_on(descriptor, done)
        self._reactor.on_writable(descriptor, self._stalled)
        return False

    def _go_on(self, descriptor: int, done: "Callable[[], None]") -> None:
        self._rest = self._handover.put(descriptor, self._rest)
        if not self._rest:
            self._stalled = None  # it knows us
            self._reactor.ignore_writable(descriptor)
            done()

    def finish(self, envelope: bytes, ended: "Callable[[Outcome, bool], None]") -> None:
        """Hand over the `envelope`, then call `ended` with the program's end and whether it got everything."""
        self._on_end = ended
        self._reactor.close(self._handover.end_message())
        if self._put(self._handover.envelope, envelope, self._await_end):
            self._await_end()

    def _await_end(self) -> None:
        self._reactor.close(self._handover.end_envelope())
        if self._handover.unstarted:
            self._reactor.loop.call_soon(self._tell, self._handover.unstarted)
        else:
            self._reaper.watch(self._handover.pid, self._ended)

    def abandon(self, done: "Callable[[], None]") -> None:
        """End without an envelope, let the program clear up, then call `done`."""
        self._on_end = lambda outcome, complete: done()
        self._reactor.close(self._handover.end_message())
        self._await_end()
        if self._handover.pid:
            self._patience = self._reactor.loop.call_later(PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        spawn.kill_group(self._handover.pid, signals.SIGKILL)

    def look_after(self) -> None:
        """One that does not read may wait for us to, or have ended."""
        self._handover.drain()
        if self._rest and self._stalled:
            self._handover.look_after()
            self._stalled()

    def _ended(self, status: int) -> None:
        self._handover.drain()
        self._tell(children.ended(status, self._handover.said, (monotonic() - self._handover.began) * 1000))

    def _tell(self, outcome: Outcome) -> None:
        self.close()
        if self._patience:
            self._patience.cancel()  # else it would keep the session for as long
        if self._on_end:
            self._on_end(outcome, not self._handover.broken)

    def close(self) -> None:
        """Let go of the program: it has the envelope whole, or sees none."""
        self._stalled = None
        for end in self._handover.open_ends():
            self._reactor.close(end)
