"""Asking resident programs beside the event loop, on connections that the worker's sessions use in turn."""

import _socket
import errno
import socket
from time import monotonic, time

from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.programs.outcome import ANSWERED, BROKEN, EXPIRED, UNSTARTED, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from qmailfork.conversation.requests import Consult

    Address = bytes | tuple[bytes, int]
    Kept = dict[Address, list[_socket.socket]]

BLOCK = 65536  # octets read at once
MOST_KEPT = 20  # idle connections to one address; some servers have a process for each
BREATH = 0.01  # seconds until a socket whose backlog is full is tried again


class Residents:
    """The connections of a worker to resident programs."""

    __slots__ = ("_kept", "_reactor")

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._kept: Kept = {}

    def ask(self, request: "Consult", done: "Callable[[Outcome], None]") -> None:
        """Put the question, then call `done` with the Outcome."""
        _Consultation(self._reactor, self._kept, request, done).begin()


class _Consultation:
    """One question and its answer, on a connection that was kept or a fresh one."""

    __slots__ = ("_answer", "_began", "_done", "_fresh", "_kept", "_reactor", "_request", "_rest", "_sock", "_timer")

    def __init__(self, reactor: Reactor, kept: "Kept", request: "Consult", done: "Callable[[Outcome], None]") -> None:
        self._reactor = reactor
        self._kept = kept
        self._request = request
        self._done = done
        self._began = monotonic()
        self._timer: asyncio.TimerHandle = reactor.loop.call_later(request.seconds, self._expire)
        self._sock: _socket.socket | None = None
        self._fresh = True
        self._rest = self._answer = b""

    def begin(self) -> None:
        """Take a connection that stands, or make one."""
        kept = self._kept.get(self._request.address)
        if kept:
            self._sock, self._fresh = kept.pop(), False
            self._put()
        else:
            self._fresh = True
            self._resolve()

    # connecting

    def _resolve(self) -> None:
        address = self._request.address
        if isinstance(address, bytes):
            self._connect(socket.AF_UNIX, address)
            return
        task = self._reactor.loop.create_task(
            self._reactor.loop.getaddrinfo(address[0], address[1], type=socket.SOCK_STREAM)
        )
        task.add_done_callback(self._resolved)

    def _resolved(self, task: "asyncio.Task[Any]") -> None:
        if self._timer.cancelled():
            return
        fault = task.exception()
        if fault:
            self._end(UNSTARTED, getattr(fault, "errno", None) or 0)
        else:
            family, _, _, _, target = task.result()[0]
            self._connect(family, target)

    def _connect(self, family: int, target: "bytes | tuple[object, ...]") -> None:
        if self._timer.cancelled():
            return
        try:
            sock = _socket.socket(family, _socket.SOCK_STREAM)
            sock.setblocking(False)
            code = sock.connect_ex(target)
        except OSError as fault:
            self._reactor.loop.call_soon(self._end, UNSTARTED, fault.errno or 0)
            return
        self._sock = sock
        if code == 0:
            self._put()
        elif code == errno.EINPROGRESS:
            self._reactor.on_writable(sock.fileno(), self._connected)
        else:
            self._drop()
            again = code == errno.EAGAIN
            call = self._reactor.loop.call_later
            _ = call(BREATH, self._connect, family, target) if again else call(0, self._end, UNSTARTED, code)

    def _connected(self) -> None:
        if self._sock is None:
            return  # called once too often
        self._reactor.ignore_writable(self._sock.fileno())
        code = self._sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            self._end(UNSTARTED, code)
        else:
            self._put()

    # question and answer

    def _put(self) -> None:
        assert self._sock
        self._rest, self._answer = self._request.question, b""
        self._reactor.on_readable(self._sock.fileno(), self._read)
        self._write()

    def _write(self) -> None:
        if self._sock is None:
            return  # called once too often
        try:
            self._rest = self._rest[self._sock.send(self._rest) :]
        except BlockingIOError:
            pass
        except OSError:
            return  # the reader will see its end
        if self._rest:
            self._reactor.on_writable(self._sock.fileno(), self._write)
        else:
            self._reactor.ignore_writable(self._sock.fileno())

    def _read(self) -> None:
        if self._sock is None:
            return  # called once too often
        try:
            block = self._sock.recv(BLOCK)
        except BlockingIOError:
            return
        except OSError:
            block = b""
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
        for sock in self._kept.pop(self._request.address, ()):
            sock.close()
        self.begin()

    # the end

    def _expire(self) -> None:
        self._timer.cancel()
        self._end(EXPIRED)

    def _drop(self) -> None:
        if self._sock:
            self._reactor.close(self._sock.detach())
            self._sock = None

    def _keep(self) -> None:
        assert self._sock
        kept = self._kept.setdefault(self._request.address, [])
        if len(kept) >= MOST_KEPT:
            self._drop()
            return
        self._reactor.ignore_readable(self._sock.fileno())
        kept.append(self._sock)

    def _end(self, how: str, code: int = 0) -> None:
        self._timer.cancel()
        if how == ANSWERED:
            self._keep()
        else:
            self._drop()
        answer = self._answer if how == ANSWERED else b""
        self._done(Outcome(how, code, answer, (monotonic() - self._began) * 1000, int(time())))
