"""What a session on the event loop stands on: what it is connected to, and what it shares with the others."""

from time import monotonic

from qmailfork.drivers.worker.children import Reaper
from qmailfork.drivers.worker.preloads import Preloads
from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.drivers.worker.residents import Residents
from qmailfork.programs.journal import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.drivers.worker.session import Session

    Environment = Callable[[], dict[bytes, bytes]]


class Link:
    """What a session is connected to.

    `source` and `sink` are its client's descriptors, non-blocking (may be one and the same); `errors` is the log's,
    descriptor 2 of its programs; `home` is their working directory's; `environment` makes their variables when the
    first one starts. `log` writes an event, `complain` a line about a fault of ours; `ended` is called with the
    session and its exit status. `ucspi` are the unused descriptors by which a server does TLS.
    """

    __slots__ = ("complain", "ended", "environment", "errors", "home", "log", "sink", "source", "ucspi")

    def __init__(
        self,
        source: int,
        sink: int,
        errors: int,
        home: int,
        environment: "Environment",
        log: "Callable[[Event], None]",
        complain: "Callable[[str], None]",
        ended: "Callable[[Session, int], None]",
    ) -> None:
        self.source = source
        self.sink = sink
        self.errors = errors
        self.home = home
        self.environment = environment
        self.log = log
        self.complain = complain
        self.ended = ended
        self.ucspi: tuple[int, int, int] | None = None


class Site:
    """What all sessions of a worker share: its `reactor` and `reaper`, a descriptor of /dev/null, the connections to
    resident checkers and the checkers that are kept imported, and the most octets that one session may send (0: no
    limit).
    """

    __slots__ = ("most_octets", "null", "preloads", "reactor", "reaper", "residents")

    def __init__(self, reactor: Reactor, null: int, most_octets: int) -> None:
        self.reactor = reactor
        self.reaper = Reaper(reactor)
        self.residents = Residents(reactor)
        self.preloads = Preloads(reactor, self.reaper, null)
        self.null = null
        self.most_octets = most_octets

    @property
    def now(self) -> float:
        """The time in seconds that deadlines are counted in."""
        return monotonic()
