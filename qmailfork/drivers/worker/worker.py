"""The worker: accepts clients, decides by the rules who may talk, and drives their sessions."""

import _socket
import ipaddress
import posix
import socket
from functools import partial

from qmailfork.conversation.dialogue import converse
from qmailfork.conversation.settings import ControlFault
from qmailfork.drivers.worker import tcpserver
from qmailfork.drivers.worker.options import Options
from qmailfork.drivers.worker.profile import Profile
from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.drivers.worker.session import Link, Session, Site
from qmailfork.drivers.worker.tcpserver import Client
from qmailfork.programs.journal import Event
from qmailfork.smtp import replies
from qmailfork.system import config
from qmailfork.system.board import Board
from qmailfork.system.tcprules import Rule, Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    Local = tuple[bytes | None, bytes, int]

AT_ONCE = 16  # connections taken in one turn of the loop
TICK = 1.0  # seconds between looks at the deadlines
DENIED = 100  # tcpserver's status for a client that the rules refuse
CRASHED = 111
LOG = 2


class Guest:
    """A connection from its acceptance to its end."""

    __slots__ = ("client", "local", "number", "session", "slot", "sock")

    def __init__(self, sock: _socket.socket, client: Client, local: "Local", number: int, slot: int) -> None:
        self.sock = sock
        self.client = client
        self.local = local
        self.number = number
        self.slot = slot
        self.session: Session | None = None


class Worker:
    """One of the listener's workers: `row` is its row on the `board`, `limit` the sessions that it may have.

    Raises ControlFault where control files or rules cannot be read at the start.
    """

    def __init__(
        self, reactor: Reactor, listening: list[socket.socket], board: Board, row: int, limit: int, options: Options,
        null: int,
    ) -> None:  # fmt: skip
        self._reactor = reactor
        self._listening = listening
        self._board = board
        self._row = row
        self._limit = limit
        self._options = options
        self._base = dict(posix.environ)
        self._home = posix.open(config.home(self._base), posix.O_RDONLY | posix.O_CLOEXEC)
        self._site = Site(reactor, null, options.most_octets)
        self._guests: set[Guest] = set()
        self._slots = list(range(limit))
        self._accepting = False
        self._stopping = False
        self._hurried = False
        self._done = reactor.loop.create_future()
        self._names: dict[bytes, bytes | None] = {}
        self._rules = Rules(options.rules, options.rules_optional)
        self._controls = config.Controls(config.home(self._base))
        self._profiles: dict[Rule, Profile] = {}

    async def serve(self) -> None:
        """Serve clients until told to stop, and the last of them has gone."""
        self._site.now = self._reactor.loop.time()
        self._tick()
        self._accept_on()
        self._board.ready(self._row)
        await self._done

    # life

    def stop(self) -> None:
        """Take no more clients in, but those who wait already; end with the last session."""
        if self._stopping:
            return
        self._stopping = True
        if self._accepting:
            for listening in self._listening:
                self._accept(listening, len(self._slots))
        self._accept_off()
        for listening in self._listening:
            self._reactor.close(listening.detach())
        self._end_when_empty()

    def hurry(self) -> None:
        """The grace of open sessions is over: their clients are told so, as by a timeout."""
        self._hurried = True
        self._expire(self._site.now)

    def _end_when_empty(self) -> None:
        if self._stopping and not self._guests and not self._done.done():
            self._done.set_result(None)

    def reload(self) -> None:
        """Read the control files again; what cannot be read leaves the old ones in force."""
        try:
            self._controls = config.Controls(config.home(self._base))
        except ControlFault as fault:
            self._warn(f"keeping the old control files: {fault}")
        self._profiles.clear()

    def _tick(self) -> None:
        now = self._site.now = self._reactor.loop.time()
        self._expire(now)
        self._reactor.loop.call_later(TICK, self._tick)

    def _expire(self, now: float) -> None:
        for guest in list(self._guests):
            if guest.session:
                if guest.session.deadline <= now or self._hurried:
                    guest.session.expire()
                guest.session.tend()

    # the log

    def _warn(self, text: str) -> None:
        if self._options.verbosity:
            self._write(f"tcpserver: warning: {text}\n".encode(errors="surrogateescape"))

    def _write(self, line: bytes) -> None:
        try:
            posix.write(LOG, line)
        except OSError:
            return

    # taking clients in

    def _accept_on(self) -> None:
        if not self._accepting and not self._stopping:
            self._accepting = True
            for listening in self._listening:
                self._reactor.on_readable(listening.fileno(), partial(self._accept, listening, AT_ONCE))

    def _accept_off(self) -> None:
        if self._accepting:
            self._accepting = False
            for listening in self._listening:
                self._reactor.ignore_readable(listening.fileno())

    def _accept(self, listening: socket.socket, most: int) -> None:
        for _ in range(most):
            if not self._slots:
                self._accept_off()
                return
            try:
                descriptor, address = listening._accept()  # type: ignore[attr-defined]  # accept() makes it twice
            except BlockingIOError:
                return
            except OSError as fault:
                self._pause(fault)
                return
            self._welcome(listening, descriptor, address)

    def _pause(self, fault: OSError) -> None:
        """Out of descriptors or memory: leave the clients in the backlog for a moment."""
        if not isinstance(fault, ConnectionError):
            self._warn(f"unable to accept: {fault.strerror}")
            self._accept_off()
            self._reactor.loop.call_later(TICK, self._accept_on)

    def _welcome(self, listening: socket.socket, descriptor: int, address: tuple[str, int]) -> None:
        posix.set_blocking(descriptor, False)
        sock = _socket.socket(listening.family, socket.SOCK_STREAM, 0, descriptor)
        if not self._options.keep_ip_options and listening.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"")
        try:
            own = sock.getsockname()
        except OSError:
            sock.close()
            return
        client = Client(plain(address[0]), address[1])
        slot = self._slots.pop()
        number = self._board.begin(self._row, self._limit - len(self._slots))
        guest = Guest(sock, client, (self._options.local_name, plain(own[0]), own[1]), number, slot)
        self._guests.add(guest)
        if self._options.verbosity > 1:
            self._write(
                tcpserver.status(self._board.sessions(), self._options.limit) + tcpserver.connected(number, client.ip)
            )
        if self._options.banner:
            self._try_write(guest, self._options.banner)
        if self._options.per_ip and self._crowd(guest) > self._options.per_ip:
            self._try_write(guest, replies.TOO_MANY)
            self._end(guest, DENIED)
        elif self._options.look_up_host or self._options.ident_seconds or self._options.local_name is None:
            self._look_up(guest)
        else:
            self._admit(guest)

    def _crowd(self, guest: Guest) -> int:
        packed = ipaddress.ip_address(guest.client.ip.decode()).packed
        return self._board.enter(self._row, guest.slot, packed)

    @staticmethod
    def _try_write(guest: Guest, text: bytes) -> None:
        try:
            guest.sock.send(text)
        except OSError:
            return

    def _look_up(self, guest: Guest) -> None:
        from qmailfork.drivers.worker import visit  # noqa: PLC0415  # DNS is for those who ask for names

        task = self._reactor.loop.create_task(visit.names(guest, self._options, self._names))
        task.add_done_callback(lambda task: self._admit(guest))

    def _admit(self, guest: Guest) -> None:
        """The names are known: let the rules decide."""
        client = guest.client
        try:
            if self._rules.refresh():
                self._profiles.clear()
        except ControlFault as fault:
            self._warn(f"keeping the old rules: {fault}")
        try:
            rule = self._rules.decide(client.ip, client.host, client.info)
        except ControlFault as fault:
            self._warn(f"dropping connection: {fault}")
            self._end(guest, CRASHED)
            return
        if self._options.verbosity > 1:
            self._write(tcpserver.admitted(guest.number, rule.allowed, guest.local, client))
        if rule.allowed:
            self._begin(guest, self._profile(rule))
        else:
            self._end(guest, DENIED)

    def _profile(self, rule: Rule) -> Profile:
        """The profile of clients with this `rule`; there is one Rule for all that are treated alike."""
        profile = self._profiles.get(rule)
        if profile is None:
            profile = self._profiles[rule] = Profile(self._controls, self._base, rule.environment)
        return profile

    def _begin(self, guest: Guest, profile: Profile) -> None:
        descriptor = guest.sock.fileno()
        style, number = profile.style, guest.number

        def log(event: Event) -> None:
            line = style(number, event)
            if line:
                self._write(line)

        link = Link(
            descriptor,
            descriptor,
            self._home,
            lambda: profile.environment(guest.client, guest.local),
            log,
            lambda text: self._warn(f"session {number}: {text}"),
            lambda status: self._end(guest, status),
        )
        guest.sock.detach()
        guest.session = Session(self._site, link, converse(profile.settings, profile.peer(guest.client, guest.local)))
        guest.session.resume(None)

    def _end(self, guest: Guest, status: int) -> None:
        if guest.session is None:
            guest.sock.close()
        self._guests.discard(guest)
        self._slots.append(guest.slot)
        self._board.end(self._row, self._limit - len(self._slots))
        if self._options.per_ip:
            self._board.leave(self._row, guest.slot)
        if self._options.verbosity > 1:
            self._write(
                tcpserver.ended(guest.number, status) + tcpserver.status(self._board.sessions(), self._options.limit)
            )
        self._accept_on()
        self._end_when_empty()


def plain(ip: str) -> bytes:
    """An address in its plain form: an IPv4 client of an IPv6 socket is an IPv4 client."""
    return ip.removeprefix("::ffff:").encode() if "." in ip else ip.partition("%")[0].encode()
