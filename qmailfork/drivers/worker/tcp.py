"""Clients that connect by TCP: taken in, looked up, and let through by the rules, as tcpserver does it."""

import _socket
import ipaddress
import posix
import socket
from functools import partial

from qmailfork.conversation.conduct import converse
from qmailfork.conversation.settings import ControlFault
from qmailfork.drivers.worker import tcpserver
from qmailfork.drivers.worker.link import Link
from qmailfork.drivers.worker.profile import Profile, Profiles
from qmailfork.drivers.worker.room import LOG, Place, Room
from qmailfork.drivers.worker.session import CRASHED, Session
from qmailfork.drivers.worker.tcpserver import Client
from qmailfork.programs import events
from qmailfork.smtp import replies
from qmailfork.system import log
from qmailfork.system.tcprules import Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.drivers.worker.tcpserver import Local
    from qmailfork.system.proxyheader import Told
    from qmailfork.system.tcprules import Rule

AT_ONCE = 16  # connections taken in one turn of the loop
DENIED = 100  # tcpserver's status for a client that the rules refuse
UNREADABLE = 1  # qmail-smtpd's where it cannot read its control files


class Guest:
    """A connection before its session begins."""

    __slots__ = ("client", "local", "place", "sock")

    def __init__(self, sock: _socket.socket, client: Client, local: "Local", place: Place) -> None:
        self.sock = sock
        self.client = client
        self.local = local
        self.place = place

    def become(self, told: "Told") -> None:
        """The load balancer has told who its client is."""
        if told.client and told.server:
            self.client = Client(tcpserver.plain(told.client[0]), told.client[1])
            self.client.proxied, self.client.facts = True, told.facts
            self.local = (self.local[0], tcpserver.plain(told.server[0]), told.server[1])


class TcpGate:
    """The `listening` sockets of a worker. Raises ControlFault where the rules cannot be read."""

    def __init__(self, room: Room, profiles: Profiles, listening: list[socket.socket]) -> None:
        self._room = room
        self._reactor = room.site.reactor
        self._options = room.options
        self._profiles = profiles
        self._listening = listening
        self._is_open = False
        self._names: dict[bytes, bytes | None] = {}
        self._rules = Rules(self._options.rules, self._options.rules_optional)

    def open(self) -> None:
        """Let clients in."""
        if not self._is_open:
            self._is_open = True
            for listening in self._listening:
                self._reactor.on_readable(listening.fileno(), partial(self._accept, listening, AT_ONCE))

    def shut(self) -> None:
        """Let clients wait in the backlog."""
        if self._is_open:
            self._is_open = False
            for listening in self._listening:
                self._reactor.ignore_readable(listening.fileno())

    def close(self) -> None:
        """Take in those who wait, as far as there is room, and no one after them."""
        for listening in self._listening:
            self._accept(listening, self._room.free)
        self.shut()
        for listening in self._listening:
            self._reactor.close(listening.detach())
        self._listening = []

    def _accept(self, listening: socket.socket, most: int) -> None:
        for _ in range(most):
            if self._room.is_full:
                self.shut()
                return
            try:
                descriptor, address = listening._accept()  # type: ignore[attr-defined]  # accept() makes it twice
            except BlockingIOError:
                return
            except OSError as fault:
                self._room.pause(fault, self.shut)
                return
            self._welcome(listening.family, descriptor, address)

    def _welcome(self, family: int, descriptor: int, address: tuple[str, int]) -> None:
        posix.set_blocking(descriptor, False)
        sock = _socket.socket(family, socket.SOCK_STREAM, 0, descriptor)
        try:
            if not self._options.keep_ip_options and family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"")
            own = sock.getsockname()
        except OSError:  # gone already
            sock.close()
            return
        place = self._room.enter()
        client = Client(tcpserver.plain(address[0]), address[1])
        guest = Guest(sock, client, (self._options.local_name, tcpserver.plain(own[0]), own[1]), place)
        if self._options.proxies and self._is_proxy(client):
            self._await_header(guest)
        else:
            self._receive(guest)

    def _is_proxy(self, client: Client) -> bool:
        address = ipaddress.ip_address(client.ip.decode())
        return any(address in network for network in self._options.proxies)

    def _await_header(self, guest: Guest) -> None:
        """The connection is a load balancer's: who its client is comes first."""
        from qmailfork.drivers.worker.proxied import Awaiting  # noqa: PLC0415  # few listeners stand behind one

        balancer = guest.client.ip.decode()

        def known(told: "Told") -> None:
            self._room.arrivals.pop(guest.place)
            guest.become(told)
            self._receive(guest)

        def refuse(why: str) -> None:
            self._room.warn(f"dropping connection from {balancer}: PROXY header: {why}")
            guest.sock.close()
            self._room.leave(guest.place)

        awaiting = Awaiting(self._reactor, guest.sock, self._options.proxy_seconds, known, refuse)
        self._room.arrivals[guest.place] = awaiting.expire

    def _receive(self, guest: Guest) -> None:
        """The client is known: see whether there is room for it, and who it is."""
        sock, client, place = guest.sock, guest.client, guest.place
        if self._options.verbosity > 1:
            self._room.say(self._room.status() + tcpserver.connected(place.number, client.ip))
        if self._options.banner:
            _try_send(sock, self._options.banner)
        if self._options.per_ip and not self._is_within(guest):
            _try_send(sock, replies.TOO_MANY)
            self._turn_away(guest, DENIED)
        elif self._options.look_up_host or self._options.ident_seconds or self._options.local_name is None:
            self._look_up(guest)
        else:
            self._admit(guest)

    def _is_within(self, guest: Guest) -> bool:
        return self._room.admits(guest.place, ipaddress.ip_address(guest.client.ip.decode()).packed)

    def _look_up(self, guest: Guest) -> None:
        task = self._reactor.loop.create_task(self._names_of(guest))
        self._room.arrivals[guest.place] = task.cancel

        def known(task: object) -> None:
            self._room.arrivals.pop(guest.place)
            self._admit(guest)

        task.add_done_callback(known)

    async def _names_of(self, guest: Guest) -> None:
        """A fault of ours costs the client its name, and no more."""
        try:
            from qmailfork.drivers.worker import visit  # noqa: PLC0415  # DNS is for those who ask for names

            await visit.names(guest, self._options, self._names)
        except Exception as fault:
            self._room.warn(f"unable to look up {guest.client.ip.decode()}: {fault}")

    def _admit(self, guest: Guest) -> None:
        """The names are known: let the rules decide."""
        client = guest.client
        try:
            if self._rules.refresh():
                self._profiles.forget()
        except ControlFault as fault:
            self._room.warn(f"keeping the old rules: {fault}")
        try:
            rule = self._rules.decide(client.ip, client.host, client.info)
        except ControlFault as fault:
            self._room.warn(f"dropping connection: {fault}")
            self._turn_away(guest, CRASHED)
            return
        if self._options.verbosity > 1:
            self._room.say(tcpserver.admitted(guest.place.number, rule.allowed, guest.local, client))
        if not rule.allowed:
            self._turn_away(guest, DENIED)
            return
        try:
            profile = self._profile(rule, client)
            home = self._profiles.directory(profile.home)
        except ControlFault as fault:
            self._excuse(guest, rule, fault)
        else:
            self._begin(guest, profile, home)

    def _excuse(self, guest: Guest, rule: "Rule", fault: ControlFault) -> None:
        """The control files that the rule names cannot be read: what qmail-smtpd says then."""
        event = events.unbegun(str(fault), guest.client.ip, guest.client.host or b"unknown")
        log.write(LOG, self._profiles.style(rule.environment)(guest.place.number, event))
        _try_send(guest.sock, replies.NO_CONTROLS)
        self._turn_away(guest, UNREADABLE)

    def _profile(self, rule: "Rule", client: Client) -> Profile:
        """Raises ControlFault. Under --smtps the octets are TLS, whatever the balancer has ended before."""
        if self._options.smtps or not client.facts:
            client.facts = {}
            return self._profiles.under(rule, rule.environment)
        protocol = client.facts[b"SSL_PROTOCOL"]
        return self._profiles.under((rule, protocol), {b"SSL_PROTOCOL": protocol, **rule.environment})

    def _begin(self, guest: Guest, profile: Profile, home: int) -> None:
        room, descriptor, number = self._room, guest.sock.detach(), guest.place.number
        link = Link(
            source=descriptor,
            sink=descriptor,
            errors=LOG,
            home=home,
            environment=lambda: profile.environment(guest.client, guest.local),
            log=log.writer(LOG, profile.style, number),
            complain=lambda text: room.warn(f"session {number}: {text}"),
            ended=lambda session, status: self._ended(guest, session, status),
        )
        conversation = converse(profile.settings, profile.peer(guest.client, guest.local))
        session = Session(room.site, link, room.counted(conversation))
        room.sessions.add(session)
        session.resume(None)

    def _ended(self, guest: Guest, session: Session, status: int) -> None:
        self._room.sessions.discard(session)
        self._leave(guest, status)

    def _turn_away(self, guest: Guest, status: int) -> None:
        guest.sock.close()
        self._leave(guest, status)

    def _leave(self, guest: Guest, status: int) -> None:
        self._room.leave(guest.place)
        if self._options.verbosity > 1:
            self._room.say(tcpserver.ended(guest.place.number, status) + self._room.status())


def _try_send(sock: _socket.socket, text: bytes) -> None:
    try:
        sock.send(text)
    except OSError:
        return
