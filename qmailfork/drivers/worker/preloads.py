"""Python checkers kept imported: for each a process that forks it (system/preload.py), until its file changes."""

import marshal
import posix
import socket
import stat
import sys
from time import monotonic, time

from qmailfork.drivers.worker.children import Output, Reaper
from qmailfork.drivers.worker.reactor import Reactor
from qmailfork.programs.outcome import EXPIRED, UNSTARTED, Outcome
from qmailfork.system import children, config, files, preload, signals, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from qmailfork.conversation.requests import RunWarm
    from qmailfork.system.files import Version

    Done = Callable[[Outcome], None]
    Fence = tuple[bytes, ...]

CHANNEL = 3  # the process's descriptor of its socket
PATIENCE = 1.0  # seconds for the process to end a fork whose time is over
BREATH = 0.01  # seconds until a request is sent again that the kernel had no room for


class Preloads:
    """The kept checkers of a worker."""

    __slots__ = ("_null", "_reactor", "_reaper", "_servers")

    def __init__(self, reactor: Reactor, reaper: Reaper, null: int) -> None:
        self._reactor = reactor
        self._reaper = reaper
        self._null = null
        self._servers: dict[tuple[bytes, Fence], Server] = {}

    def run(self, request: "RunWarm", environment: dict[bytes, bytes], place: tuple[int, int], done: "Done") -> bool:
        """Fork the checker, and call `done` with its Outcome; False where it has to be run the ordinary way.

        `place` is where it runs: descriptors of its log and of its working directory.
        """
        path = request.argv[0]
        stamp = stamp_of(path)
        if stamp is None:
            return False
        key = (path, request.fence)
        server = self._servers.get(key)
        if server is None or server.stamp != stamp or server.gone or server.tired:
            if server:
                server.retire()
            try:
                server = self._servers[key] = Server(self._reactor, self._reaper, self._null, *key, stamp)
            except OSError:
                return False
        return server.run(request, environment, place, done)

    def retire(self) -> None:
        """No more is asked of any: each ends with the last of its forks."""
        for server in self._servers.values():
            server.retire()


def stamp_of(path: bytes) -> "Version | None":
    """What tells one version of a file from another; None where it cannot be executed, or is no file."""
    try:
        found = posix.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode) or not posix.access(path, posix.X_OK):
        return None
    return files.version(found)


class Server:
    """The process that forks one checker, behind the `fence` (empty: none). `gone` once it has ended, `tired` once it
    wants to be replaced; `stamp` is the version that it has imported.

    Raises OSError where it cannot be started.
    """

    __slots__ = (
        "_arrived", "_channel", "_number", "_outbox", "_pid", "_reactor", "_retired", "_runs", "gone", "stamp",
        "tired",
    )  # fmt: skip

    def __init__(
        self, reactor: Reactor, reaper: Reaper, null: int, path: bytes, fence: "Fence", stamp: "Version"
    ) -> None:
        self._reactor = reactor
        self.stamp = stamp
        self.gone = self.tired = self._retired = False
        self._arrived = b""
        self._number = 0
        self._runs: dict[int, Run] = {}
        self._outbox: list[tuple[bytes, list[int]]] = []
        self._channel, its = socket.socketpair()
        argv = [*fence, sys.executable.encode(), b"-P", preload.__file__.encode(), b"%d" % CHANNEL, path]
        try:
            self._pid = spawn.launch(argv, config.received(), ((null, 0), (null, 1), (its.fileno(), CHANNEL)))
        except OSError:
            self._channel.close()
            raise
        finally:
            its.close()
        self._channel.setblocking(False)
        reaper.watch(self._pid, self._ended)
        reactor.on_readable(self._channel.fileno(), self._read)

    def _ended(self, status: int) -> None:
        self._pid = 0

    def run(self, request: "RunWarm", environment: dict[bytes, bytes], place: tuple[int, int], done: "Done") -> bool:
        """As Preloads.run."""
        given: list[int] = []
        try:
            given += posix.pipe()
            given += map(posix.dup, place)
        except OSError:
            for descriptor in given:
                posix.close(descriptor)
            return False
        pipe, *its = given
        self._number += 1
        data = marshal.dumps((self._number, request.argv, environment))
        self._runs[self._number] = Run(self, self._reactor, self._number, pipe, request, done)
        self.tell(data, its)
        return True

    def tell(self, data: bytes, descriptors: list[int]) -> None:
        """Send a request, and with it `descriptors`, which are closed."""
        self._outbox.append((len(data).to_bytes(preload.LENGTH, "big") + data, descriptors))
        if len(self._outbox) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._outbox:
            data, descriptors = self._outbox[0]
            try:
                sent = socket.send_fds(self._channel, [data], descriptors) if descriptors else self._channel.send(data)
            except BlockingIOError:
                self._reactor.on_writable(self._channel.fileno(), self._flush)
                return
            except ConnectionError:
                return  # the reader sees its end
            except OSError:  # out of memory, or more descriptors are on their way than we may have open (unix(7))
                self._reactor.ignore_writable(self._channel.fileno())
                self._reactor.loop.call_later(BREATH, self._flush)
                return
            for descriptor in descriptors:
                posix.close(descriptor)
            self._outbox[0] = data[sent:], []
            if sent == len(data):
                del self._outbox[0]
        self._reactor.ignore_writable(self._channel.fileno())

    def _read(self) -> None:
        try:
            block = self._channel.recv(children.BLOCK)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        if not block:
            self._lose()
            return
        *lines, self._arrived = (self._arrived + block).split(b"\n")
        for line in lines:
            number, status = map(int, line.split())
            if number:
                self._runs.pop(number).ended(status)
            else:
                self.tired = True
        self._close_if_idle()

    def kill(self) -> None:
        """It does not obey: an import that hangs, say."""
        if self._pid:
            spawn.kill_group(self._pid, signals.SIGKILL)

    def retire(self) -> None:
        """No more is asked of it: it ends with the last of its forks."""
        self._retired = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._retired and not self._runs:
            self._close()

    def _lose(self) -> None:
        """It has ended before us: so have its forks, for us."""
        self._close()
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.lost()

    def _close(self) -> None:
        if not self.gone:
            self.gone = True
            self._reactor.close(self._channel.detach())
            for _, descriptors in self._outbox:
                for descriptor in descriptors:
                    posix.close(descriptor)
            self._outbox.clear()


class Run:
    """One fork of a checker, with its output captured and its time limited."""

    __slots__ = ("_began", "_done", "_expired", "_number", "_output", "_reactor", "_server", "_timer")

    def __init__(
        self, server: Server, reactor: Reactor, number: int, pipe: int, request: "RunWarm", done: "Done"
    ) -> None:
        self._server = server
        self._reactor = reactor
        self._number = number
        self._done = done
        self._output = Output(reactor, pipe, request.OUTPUT)
        self._began = monotonic()
        self._expired = False
        self._timer: asyncio.TimerHandle = reactor.loop.call_later(request.seconds, self._expire)
        posix.set_blocking(pipe, False)
        self._output.watch()

    def _expire(self) -> None:
        self._expired = True
        self._timer = self._reactor.loop.call_later(PATIENCE, self._server.kill)
        self._server.tell(marshal.dumps((self._number,)), [])

    def _milliseconds(self) -> float:
        return (monotonic() - self._began) * 1000

    def ended(self, status: int) -> None:
        """The fork has ended, or could not be made."""
        self._timer.cancel()
        output = self._output.finish()
        if self._expired:
            self._done(children.expired(output, self._milliseconds()))
        elif status < 0:
            self._done(Outcome(UNSTARTED, -status, b"", self._milliseconds(), int(time())))
        else:
            self._done(children.ended(status, output, self._milliseconds()))

    def lost(self) -> None:
        """The process that forked it has ended: nobody knows what became of it."""
        self._timer.cancel()
        self._output.close()
        how = EXPIRED if self._expired else UNSTARTED
        self._done(Outcome(how, 0, b"", self._milliseconds(), int(time())))
