"""The worker's life: it opens its gates, keeps the time, and ends with its last session."""

import socket

from qmailfork.drivers.worker.handoff import HandoffGate
from qmailfork.drivers.worker.link import Site
from qmailfork.drivers.worker.options import Options
from qmailfork.drivers.worker.profile import Profiles
from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.drivers.worker.room import Room
from qmailfork.drivers.worker.tcp import TcpGate
from qmailfork.system import config
from qmailfork.system.board import Board

PARTING = 2.0  # seconds at the end for programs of sessions that are over
TICK = 1.0  # seconds between looks at the deadlines


class Sockets:
    """What a listener listens on: `tcp` sockets, and the Unix socket of hand-offs where there is one."""

    __slots__ = ("handoff", "tcp")

    def __init__(self, tcp: list[socket.socket], handoff: socket.socket | None) -> None:
        self.tcp = tcp
        self.handoff = handoff

    def all(self) -> list[socket.socket]:
        """Every one of them."""
        return [*self.tcp, self.handoff] if self.handoff else self.tcp


class Worker:
    """One of the listener's workers: `row` is its row on the `board`, `limit` the sessions that it may have.

    Raises ControlFault where control files or rules cannot be read at the start, or qmail's home not be entered.
    """

    def __init__(
        self, reactor: Reactor, listening: Sockets, board: Board, row: int, limit: int, options: Options, null: int
    ) -> None:
        base = config.received()
        if options.smtps:
            base[b"SMTPS"] = b"1"
        self._reactor = reactor
        self._site = Site(reactor, null, options.most_octets)
        self._room = Room(self._site, board, row, limit, options)
        self._profiles = Profiles(base, options.program)
        self._gates: list[TcpGate | HandoffGate] = []
        if listening.tcp:
            self._profiles.directory(config.home(base))  # while descriptors are left
            self._gates.append(TcpGate(self._room, self._profiles, listening.tcp))
        if listening.handoff:
            self._gates.append(HandoffGate(self._room, self._profiles, listening.handoff))
        self._row = row
        self._hurried = False
        self._stopping = False
        self._done = reactor.loop.create_future()

    async def serve(self) -> None:
        """Serve clients until told to stop, and the last of them has gone."""
        self._room.on_change = self._look_around
        self._tick()
        self._look_around()
        self._room.board.ready(self._row)
        await self._done
        self._site.preloads.retire()
        await self._site.reaper.settle(PARTING)

    def _look_around(self) -> None:
        """A place became free, or the gates may open."""
        if not self._stopping:
            for gate in self._gates:
                gate.open()
        elif self._room.is_empty and not self._done.done():
            self._done.set_result(None)

    def stop(self) -> None:
        """Take no more clients in, but those who wait already; end with the last session."""
        if not self._stopping:
            for gate in self._gates:
                gate.close()
            self._stopping = True
            self._look_around()

    def hurry(self) -> None:
        """The grace of open sessions is over: their clients are sent away, as by a timeout."""
        self._hurried = True
        for end in list(self._room.arrivals.values()):
            end()
        self._expire()

    def reload(self) -> None:
        """Read the control files again."""
        for fault in self._profiles.reload():
            self._room.warn(f"keeping the old control files: {fault}")

    def _tick(self) -> None:
        self._expire()
        self._reactor.loop.call_later(TICK, self._tick)

    def _expire(self) -> None:
        now = float("inf") if self._hurried else self._site.now
        for session in list(self._room.sessions):
            if session.deadline <= now:
                session.expire()
            session.tend()
