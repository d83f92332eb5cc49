"""Sessions that qmailfork-handoff brings: from tcpserver, sslserver or any other UCSPI server, each to a warm worker.

On a Unix stream socket it sends its descriptors 0, 1 and 2, and those of ucspi-tls(2) where it has them (SSLCTLFD,
SSLREADFD, SSLWRITEFD), with the length (four octets, network order) of what follows: its working directory and each
variable of its environment, every one ended by NUL. We answer with ACCEPTED once we have it all, before the first octet
to the client; until then it may still run its fallback. At the end we send the exit status in one octet.
"""

import array
import os
import posix
import socket
import struct

from qmailfork.conversation.conduct import converse
from qmailfork.conversation.settings import ControlFault
from qmailfork.drivers.worker.link import Link
from qmailfork.drivers.worker.profile import Profiles
from qmailfork.drivers.worker.room import Place, Room
from qmailfork.drivers.worker.session import Session
from qmailfork.system import config, log

ACCEPTED = b"A"
PATIENCE = 10.0  # seconds for a parcel to arrive
LONGEST = 1 << 22  # octets of an environment
BLOCK = 65536
MOST_DESCRIPTORS = 6
_LENGTH = struct.Struct("!I")
# FreeBSD's unix(4), which socket has no names for: a struct xucred is its version, the effective user id, and more
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED = 0, 1, 256


class HandoffGate:
    """The Unix socket `listening` of a worker; only our own user and root are served."""

    def __init__(self, room: Room, profiles: Profiles, listening: socket.socket) -> None:
        self._room = room
        self._reactor = room.site.reactor
        self._profiles = profiles
        self._listening = listening
        self._is_open = False

    def open(self) -> None:
        """Let sessions in."""
        if not self._is_open:
            self._is_open = True
            self._reactor.on_readable(self._listening.fileno(), self._accept)

    def shut(self) -> None:
        """Let them wait in the backlog."""
        if self._is_open:
            self._is_open = False
            self._reactor.ignore_readable(self._listening.fileno())

    def close(self) -> None:
        """Take no one in any more: who waits has its fallback."""
        self.shut()
        self._reactor.close(self._listening.detach())

    def _accept(self) -> None:
        if self._room.is_full:
            self.shut()
            return
        try:
            sock, _ = self._listening.accept()
        except BlockingIOError:
            return
        except OSError as fault:
            self._room.pause(fault, self.shut)
            return
        pid, uid = peer_credentials(sock)
        if uid not in (0, posix.geteuid()):
            self._room.warn(f"hand-off by user {uid} refused")
            sock.close()
            return
        sock.setblocking(False)
        Handoff(self._room, self._profiles, sock, pid, self._room.enter()).await_parcel()


class Handoff:
    """One session that is handed over."""

    def __init__(self, room: Room, profiles: Profiles, sock: socket.socket, pid: int, place: Place) -> None:
        self._room = room
        self._reactor = room.site.reactor
        self._profiles = profiles
        self._sock = sock
        self._pid = pid or place.number
        self._place = place
        self._descriptors: list[int] = []
        self._parcel = b""
        self._home = -1
        self._session: Session | None = None
        self._link: Link | None = None
        self._timer = self._reactor.loop.call_later(PATIENCE, self._give_up)

    def await_parcel(self) -> None:
        """Receive what is handed over, then begin; give up where it does not come."""
        self._room.arrivals[self._place] = self._give_up
        self._reactor.on_readable(self._sock.fileno(), self._receive)

    def _receive(self) -> None:
        rights = array.array("i")
        try:
            data, ancillary, _, _ = self._sock.recvmsg(BLOCK, socket.CMSG_SPACE(MOST_DESCRIPTORS * rights.itemsize))
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        for level, kind, octets in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                rights.frombytes(octets[: len(octets) - len(octets) % rights.itemsize])
        self._descriptors += rights
        for descriptor in rights:
            posix.set_inheritable(descriptor, False)
        self._parcel += data
        self._judge(ended=not data)

    def _judge(self, ended: bool) -> None:
        """Begin where the parcel is whole; give up where it never will be."""
        whole = LONGEST
        if len(self._parcel) >= _LENGTH.size:
            whole = _LENGTH.size + _LENGTH.unpack_from(self._parcel)[0]
        if ended or whole > LONGEST + _LENGTH.size:
            self._give_up()
        elif len(self._parcel) >= whole:
            self._timer.cancel()
            self._room.arrivals.pop(self._place)
            self._begin(self._parcel[_LENGTH.size : whole].split(b"\0")[:-1])

    def _give_up(self) -> None:
        self._timer.cancel()
        for descriptor in self._descriptors:
            posix.close(descriptor)
        self._let_go()

    def _let_go(self) -> None:
        if self._home >= 0:
            posix.close(self._home)
        self._reactor.close(self._sock.detach())
        self._room.leave(self._place)

    def _begin(self, fields: list[bytes]) -> None:
        environment = dict(field.split(b"=", 1) for field in fields[1:] if field.find(b"=") > 0)
        try:
            home = os.path.join(fields[0], config.home(environment))
            profile = self._profiles.of(environment)
            self._home = posix.open(home, posix.O_RDONLY | posix.O_CLOEXEC)
            source, sink, errors, ucspi = _sorted(self._descriptors)
            self._sock.send(ACCEPTED)
            posix.set_blocking(source, False)
            posix.set_blocking(sink, False)
        except (ControlFault, OSError, ValueError, IndexError) as fault:
            self._room.warn(f"hand-off refused: {fault}")
            self._give_up()
            return
        number = self._pid
        link = self._link = Link(
            source=source,
            sink=sink,
            errors=errors,
            home=self._home,
            environment=lambda: environment,
            log=log.writer(errors, profile.style, number),
            complain=lambda text: self._room.warn(f"session {number}: {text}"),
            ended=self._ended,
        )
        link.ucspi = ucspi
        conversation = self._room.counted(converse(profile.settings, config.peer(environment)))
        self._session = Session(self._room.site, link, conversation)
        self._room.sessions.add(self._session)
        self._reactor.on_readable(self._sock.fileno(), self._bereaved)
        self._session.resume(None)

    def _bereaved(self) -> None:
        """The process that brought the session is gone, and takes the client with it."""
        self._reactor.ignore_readable(self._sock.fileno())
        if self._session:
            self._session.hang_up()

    def _ended(self, session: Session, status: int) -> None:
        self._room.sessions.discard(session)
        try:
            self._sock.send(bytes([status]))
        except OSError:
            pass
        for descriptor in self._descriptors[2:] if self._link and self._link.ucspi else self._descriptors[2:3]:
            posix.close(descriptor)
        self._let_go()
        self._session = self._link = None  # they know us, too


def _sorted(descriptors: list[int]) -> tuple[int, int, int, tuple[int, int, int] | None]:
    """Those that a session has for its client and its log, and those of ucspi-tls(2), if any. Raises ValueError."""
    source, sink, errors, *ucspi = descriptors
    if not ucspi:
        return source, sink, errors, None
    control, reading, writing = ucspi
    return source, sink, errors, (control, reading, writing)


def peer_credentials(sock: socket.socket) -> tuple[int, int]:
    """The process id (0 where the system does not tell) and user id at the other end of a Unix socket."""
    if hasattr(socket, "SO_PEERCRED"):
        pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return pid, uid
    _, uid = struct.unpack_from("II", sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED))
    return 0, uid
