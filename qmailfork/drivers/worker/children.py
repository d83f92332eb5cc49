"""Programs that run beside the event loop: started by the common launch function, awaited without blocking."""

import asyncio
import posix
from time import monotonic

from qmailfork.conversation import requests
from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.programs.outcome import UNSTARTED, Outcome
from qmailfork.system import children, signals, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


SOON = 0.05  # seconds after which a program that still runs is looked after


class Reaper:
    """Tells when a child has ended: by its pidfd, or by SIGCHLD where there is none."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._awaited: dict[int, Callable[[int], None]] = {}
        self.has_pidfd = hasattr(posix, "pidfd_open")
        if not self.has_pidfd:
            reactor.loop.add_signal_handler(signals.SIGCHLD, self._reap)

    def watch(self, pid: int, ended: "Callable[[int], None]") -> None:
        """Call `ended` with the wait status of `pid`."""
        self._awaited[pid] = ended
        if not self.has_pidfd:
            self._reactor.loop.call_soon(self._reap)  # it may have ended already
            return
        try:
            descriptor = posix.pidfd_open(pid)
        except OSError:  # no descriptor left
            self._reactor.loop.call_later(SOON, self._ask, pid)
        else:
            self._reactor.on_readable(descriptor, lambda: self._ended(pid, descriptor))

    async def settle(self, seconds: float) -> None:
        """Give the programs that no session waits for any more so long to end, and kill what stays."""
        until = self._reactor.loop.time() + seconds
        while self._awaited and self._reactor.loop.time() < until:
            await asyncio.sleep(SOON)
        for pid in self._awaited:
            spawn.kill_group(pid, signals.SIGKILL)

    def _ask(self, pid: int) -> None:
        """Look after a child that nothing tells of."""
        self._collect(pid)
        if pid in self._awaited:
            self._reactor.loop.call_later(SOON, self._ask, pid)

    def _collect(self, pid: int) -> None:
        found, status = posix.waitpid(pid, posix.WNOHANG)
        if found:
            self._awaited.pop(pid)(status)

    def _ended(self, pid: int, descriptor: int) -> None:
        found, status = posix.waitpid(pid, posix.WNOHANG)
        if found:
            self._reactor.close(descriptor)
            self._awaited.pop(pid)(status)

    def _reap(self) -> None:
        for pid in list(self._awaited):
            self._collect(pid)


class Output:
    """What a program writes to the non-blocking `pipe`: at most `keep` octets of it."""

    __slots__ = ("_keep", "_kept", "_pipe", "_reactor")

    def __init__(self, reactor: Reactor, pipe: int, keep: int) -> None:
        self._reactor = reactor
        self._pipe = pipe
        self._keep = keep
        self._kept = b""

    def watch(self) -> None:
        """Read whatever comes, lest the program waits for a reader."""
        self._reactor.on_readable(self._pipe, self._read)

    def _read(self) -> None:
        try:
            block = posix.read(self._pipe, children.BLOCK)
        except BlockingIOError:
            return
        self._kept = (self._kept + block)[: self._keep]
        if not block:
            self._reactor.ignore_readable(self._pipe)

    def finish(self) -> bytes:
        """Take what is left, once, and close the pipe: what was kept."""
        if len(self._kept) < self._keep:
            self._read()
        self.close()
        return self._kept

    def close(self) -> None:
        """Close the pipe."""
        self._reactor.close(self._pipe)


class Run:
    """One program with its output captured and its time limited; `done` is called with the Outcome."""

    __slots__ = ("_began", "_done", "_expired", "_output", "_pid", "_reactor", "_timer")

    def __init__(
        self,
        reactor: Reactor,
        reaper: Reaper,
        null: int,
        errors: int,
        request: requests.Run,
        environment: "Mapping[bytes, bytes]",
        done: "Callable[[Outcome], None]",
        more: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self._reactor = reactor
        self._began = monotonic()
        self._done = done
        self._expired = False
        self._timer: asyncio.TimerHandle | None = None
        try:
            self._pid, pipe = spawn.capture(request.command, environment, null, errors, request.captured, more)
        except OSError as fault:
            unstarted = Outcome(UNSTARTED, fault.errno or 0, b"", self._milliseconds())
            reactor.loop.call_soon(done, unstarted)
            return
        self._output = Output(reactor, pipe, request.OUTPUT)
        self._timer = reactor.loop.call_later(min(request.seconds, SOON), self._stay, request.seconds)
        reaper.watch(self._pid, self._ended)

    def _milliseconds(self) -> float:
        return (monotonic() - self._began) * 1000

    def _stay(self, seconds: float) -> None:
        """It is one of those that take longer: read what it writes, lest it waits for a reader."""
        left = self._began + seconds - monotonic()
        if left <= 0:
            self._expire()
            return
        self._output.watch()
        self._timer = self._reactor.loop.call_later(left, self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._timer = self._reactor.loop.call_later(children.GRACE, self._leave)
        spawn.kill_group(self._pid, signals.SIGKILL)

    def _leave(self) -> None:
        """It does not end although it was killed."""
        self._timer = None
        self._done(children.expired(self._output.finish(), self._milliseconds()))

    def _ended(self, status: int) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        output = self._output.finish()
        if self._expired:
            self._done(children.expired(output, self._milliseconds()))
        else:
            self._done(children.ended(status, output, self._milliseconds()))
