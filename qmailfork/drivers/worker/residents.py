"""Asking resident programs beside the event loop, on connections that the worker's sessions use in turn."""

import _socket
import errno
import posix
import socket
from time import monotonic, time

from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.programs.outcome import ANSWERED, BROKEN, EXPIRED, UNSTARTED, Outcome
from qmailfork.system import hosts
from qmailfork.system.residents import BREATH, is_silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from qmailfork.conversation.requests import Consult

    Address = bytes | tuple[bytes, int]
    Place = tuple[int, Any]  # family and address
    Kept = dict[tuple[Any, ...], list["_Line"]]

BLOCK = 65536  # octets read at once
MOST_KEPT = 20  # idle connections to one address; some servers have a process for each


class Residents:
    """The connections of a worker to resident programs."""

    __slots__ = ("_kept", "_reactor")

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._kept: Kept = {}

    def ask(self, request: "Consult", home: int, done: "Callable[[Outcome], None]") -> None:
        """Put the question, then call `done` with the Outcome. A path may begin at `home`, a directory's descriptor."""
        key: tuple[Any, ...] = (request.address,)
        if not _is_absolute(request.address):
            place = posix.fstat(home)
            key += (place.st_dev, place.st_ino)
        _Consultation(self._reactor, self._kept.setdefault(key, []), request, home, done).begin()


def _is_absolute(address: "Address") -> bool:
    return not isinstance(address, bytes) or address.startswith(b"/")


class _Line:
    """A connection. Whoever is its `owner` hears what comes; what comes while it has none breaks it."""

    __slots__ = ("_kept", "_reactor", "_sock", "_writing", "owner")

    def __init__(self, reactor: Reactor, sock: "_socket.socket", kept: "list[_Line]") -> None:
        self._reactor = reactor
        self._sock = sock
        self._kept = kept
        self._writing = False
        self.owner: _Consultation | None = None
        reactor.on_readable(sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            block = self._sock.recv(BLOCK)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        if self.owner:
            self.owner.hear(block)
        else:
            self.close()

    @property
    def is_silent(self) -> bool:
        """Whether the next question may be put on it."""
        return is_silent(self._sock)

    def write(self, octets: bytes) -> None:
        """Send `octets`; where that fails, the reader sees its end."""
        try:
            octets = octets[self._sock.send(octets) :]
        except BlockingIOError:
            pass
        except OSError:
            return
        if octets:
            self._writing = True
            self._reactor.on_writable(self._sock.fileno(), lambda: self.write(octets))
        elif self._writing:
            self._writing = False
            self._reactor.ignore_writable(self._sock.fileno())

    def keep(self) -> None:
        """The owner has what it wanted: keep the connection for the next one."""
        self.owner = None
        if len(self._kept) < MOST_KEPT and not self._writing:
            self._kept.append(self)
        else:
            self.close()

    def close(self) -> None:
        """Done with it."""
        self.owner = None
        if self in self._kept:
            self._kept.remove(self)
        if self._sock.fileno() >= 0:
            self._reactor.close(self._sock.detach())


class _Consultation:
    """One question and its answer, on a connection that was kept or a fresh one."""

    __slots__ = (
        "_answer", "_began", "_done", "_fresh", "_home", "_kept", "_line", "_places", "_reactor", "_request", "_sock",
        "_timer",
    )  # fmt: skip

    def __init__(
        self, reactor: Reactor, kept: "list[_Line]", request: "Consult", home: int, done: "Callable[[Outcome], None]"
    ) -> None:
        self._reactor = reactor
        self._home = home
        self._kept = kept
        self._request = request
        self._done = done
        self._began = monotonic()
        self._timer: asyncio.TimerHandle = reactor.loop.call_later(request.seconds, self._expire)
        self._places: list[Place] = []  # to be tried yet
        self._sock: _socket.socket | None = None  # until it is connected
        self._line: _Line | None = None
        self._fresh = True
        self._answer = b""

    def begin(self) -> None:
        """Take a connection that stands, or make one."""
        while self._kept:
            line = self._kept.pop()
            if line.is_silent:
                self._fresh = False
                self._put(line)
                return
            line.close()
        self._fresh = True
        self._resolve()

    # connecting

    def _resolve(self) -> None:
        address = self._request.address
        if isinstance(address, bytes):
            self._places = [(socket.AF_UNIX, address)]
            self._connect()
            return
        try:
            self._places = hosts.written(*address)
        except OSError:
            self._ask_dns(*address)
        else:
            self._connect()

    def _ask_dns(self, host: bytes, port: int) -> None:
        """Names wait for one another where DNS is slow, and addresses for none of them."""
        task = self._reactor.loop.create_task(self._reactor.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        task.add_done_callback(self._resolved)

    def _resolved(self, task: "asyncio.Task[Any]") -> None:
        fault = task.exception()  # one that nobody asks for, asyncio writes into the log
        if self._timer.cancelled():
            return
        if fault:
            self._end(UNSTARTED, getattr(fault, "errno", None) or 0)
        else:
            self._places = [(family, target) for family, _, _, _, target in task.result()]
            self._connect()

    def _connect(self) -> None:
        """Try the next place."""
        if self._timer.cancelled():
            return
        family, target = self._places[0]
        try:
            sock = _socket.socket(family, _socket.SOCK_STREAM)
            sock.setblocking(False)
            if not _is_absolute(self._request.address):
                posix.fchdir(self._home)
            code = sock.connect_ex(target)
        except OSError as fault:
            self._missed(fault.errno or 0)
            return
        self._sock = sock
        if code == 0:
            self._connected()
        elif code == errno.EINPROGRESS:
            self._reactor.on_writable(sock.fileno(), self._connected)
        elif code == errno.EAGAIN:
            self._drop()
            self._reactor.loop.call_later(BREATH, self._connect)
        else:
            self._missed(code)

    def _missed(self, code: int) -> None:
        """It is not there: try the next place, if there is one."""
        self._drop()
        del self._places[0]
        if self._places:
            self._connect()
        else:
            self._reactor.loop.call_soon(self._end, UNSTARTED, code)

    def _connected(self) -> None:
        if self._sock is None:
            return  # called once too often
        sock, self._sock = self._sock, None
        self._reactor.ignore_writable(sock.fileno())
        code = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            self._sock = sock
            self._missed(code)
        else:
            self._put(_Line(self._reactor, sock, self._kept))

    # question and answer

    def _put(self, line: _Line) -> None:
        self._line, self._answer = line, b""
        line.owner = self
        line.write(self._request.question)

    def hear(self, block: bytes) -> None:
        """A piece of the answer; empty where the connection has ended."""
        self._answer += block
        if not block:
            self._lost()
        elif len(self._answer) > self._request.LONGEST:
            self._end(BROKEN)
        elif self._request.end in self._answer:
            end = self._request.end
            self._end(ANSWERED if self._answer.index(end) + len(end) == len(self._answer) else BROKEN)

    def _lost(self) -> None:
        """The connection ended. One that was kept may have been closed while idle, and with it all the others."""
        if self._fresh or self._answer:
            self._end(BROKEN)
            return
        self._drop()
        for line in list(self._kept):
            line.close()
        self.begin()

    # the end

    def _expire(self) -> None:
        self._end(EXPIRED)

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        line, self._line = self._line, None
        if sock:
            self._reactor.close(sock.detach())
        if line:
            line.close()

    def _end(self, how: str, code: int = 0) -> None:
        if self._timer.cancelled():
            return
        self._timer.cancel()
        answer = b""
        if how == ANSWERED and self._line:
            answer = self._answer
            self._line.keep()
            self._line = None
        self._drop()
        self._done(Outcome(how, code, answer, (monotonic() - self._began) * 1000, int(time())))
