"""The room that a worker has for sessions, and those that are in it."""

from qmailfork.drivers.worker import tcpserver
from qmailfork.drivers.worker.link import Site
from qmailfork.drivers.worker.options import Options
from qmailfork.drivers.worker.session import Session
from qmailfork.system import log
from qmailfork.system.board import Board

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.conversation.requests import Asking, Ending

LOG = 2
BREATH = 1.0  # seconds to wait where there are no descriptors left


class Place:
    """A place in the room: its `slot`, and the `number` of the session that has it."""

    __slots__ = ("number", "slot")

    def __init__(self, slot: int, number: int) -> None:
        self.slot = slot
        self.number = number


class Room:
    """At most `limit` sessions of the worker in `row` of the `board`; those that run are in `sessions`.

    `arrivals` has for each that has yet to begin what makes an end to its waiting, once the grace is over.
    """

    def __init__(self, site: Site, board: Board, row: int, limit: int, options: Options) -> None:
        self.site = site
        self.board = board
        self.options = options
        self.sessions: set[Session] = set()
        self.arrivals: dict[Place, Callable[[], object]] = {}
        self.on_change: Callable[[], None] = lambda: None  # a place became free
        self._row = row
        self._limit = limit
        self._slots = list(range(limit))
        self._page = board.tallies.pages[row] if board.tallies else None

    def counted(self, conversation: "Asking[Ending]") -> "Asking[Ending]":
        """The `conversation`, counted where the listener counts."""
        if self._page is None:
            return conversation
        from qmailfork.drivers.worker.meter import metered  # noqa: PLC0415  # for those who look

        return metered(conversation, self._page)

    @property
    def is_full(self) -> bool:
        """True where no place is left."""
        return not self._slots

    @property
    def is_empty(self) -> bool:
        """True where nobody is in."""
        return len(self._slots) == self._limit

    @property
    def free(self) -> int:
        """How many places are left."""
        return len(self._slots)

    def enter(self) -> Place:
        """Take a place; there has to be one."""
        slot = self._slots.pop()
        return Place(slot, self.board.begin(self._row, self._limit - len(self._slots)))

    def leave(self, place: Place) -> None:
        """Give the `place` back."""
        self.arrivals.pop(place, None)
        self._slots.append(place.slot)
        self.board.end(self._row, self._limit - len(self._slots))
        if self.options.per_ip:
            self.board.leave(self._row, place.slot)
        self.on_change()

    def admits(self, place: Place, address: bytes) -> bool:
        """Whether the packed `address` may have the session at `place`, with those that it has in all workers."""
        return self.board.enter(self._row, place.slot, address, self.options.per_ip)

    def pause(self, fault: OSError, shut: "Callable[[], None]") -> None:
        """Out of descriptors or memory: `shut` the gate, and leave who waits in its backlog for a moment."""
        if not isinstance(fault, ConnectionError):
            self.warn(f"unable to accept: {fault.strerror}")
            shut()
            self.site.reactor.loop.call_later(BREATH, self.on_change)

    def status(self) -> bytes:
        """tcpserver's line about how full it is, over all workers."""
        return tcpserver.status(self.board.sessions(), self.options.limit)

    def say(self, lines: bytes) -> None:
        """tcpserver's own lines, for -v."""
        if self.options.verbosity > 1:
            log.write(LOG, lines)

    def warn(self, text: str) -> None:
        """A line about what went wrong, unless -q."""
        if self.options.verbosity:
            log.write(LOG, f"tcpserver: warning: {text}\n".encode(errors="surrogateescape"))
