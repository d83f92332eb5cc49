"""A Python checker kept imported: `python3 preload.py DESCRIPTOR PROGRAM` forks it for each request on a socket.

It is a process of its own for each checker, run as a script and without anything else of this package, so that the
checker finds what it would find had it been run: its own directory first on sys.path, and no module but its own.

A request is 4 octets of length and a marshalled tuple: (number, argv, environment) with the descriptors for 1, 2 and
the working directory to start one, (number,) to kill one. What is told are lines: the number, and the wait status, or
below 0 the errno of one that could not be started; the number 0 asks to be replaced.
A checker with a function main() that wants no arguments is imported once, and main() called in each fork; any other
is compiled once, and run as __main__ in each fork, as is one that could not be imported; one that is no Python of ours
is executed.
"""

import array
import ast
import atexit
import errno
import functools
import gc
import importlib.util
import marshal
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

LENGTH = 4  # octets that tell how long a request is
DESCRIPTORS = 3
BLOCK = 65536  # octets read at once

Program = Callable[[], object]


def load(path: str) -> Program:
    """What a fork has to call to be the checker at `path`."""
    with open(path, "rb") as file:
        source = file.read()
    tree = ast.parse(source, path)
    code = compile(tree, path, "exec", dont_inherit=True)
    if any(isinstance(node, ast.FunctionDef) and node.name == "main" and wants_nothing(node) for node in tree.body):
        try:
            return imported(path, code)
        except (Exception, SystemExit):
            sys.modules.pop(name_of(path), None)
    return lambda: run(path, code)


def wants_nothing(function: ast.FunctionDef) -> bool:
    """Whether it can be called without arguments."""
    wanted = function.args
    return len(wanted.posonlyargs + wanted.args) == len(wanted.defaults) and None not in wanted.kw_defaults


def name_of(path: str) -> str:
    """The module name of a checker's file."""
    return os.path.splitext(os.path.basename(path))[0].replace(".", "_") or "checker"


def imported(path: str, code: CodeType) -> Program:
    """main() of the checker at `path`. Raises whatever its import raises."""
    spec = importlib.util.spec_from_loader(name_of(path), loader=None, origin=path)
    assert spec
    module = importlib.util.module_from_spec(spec)
    module.__file__ = path
    sys.modules[spec.name] = module
    exec(code, module.__dict__)
    main: Program = module.main
    return main


def run(path: str, code: CodeType) -> None:
    """The checker's `code` as __main__."""
    main = ModuleType("__main__")
    main.__file__ = path
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def execute(path: str) -> None:
    """Become the checker at `path`, which this Python cannot compile: its own interpreter may, or says why not.

    Where it cannot be started, it is one that was killed: an exit code might let a recipient pass.
    """
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # an interpreter ignores them, and so would what it becomes
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(path, sys.argv)
    except OSError as fault:
        os.write(2, os.fsencode(f"{path}: {fault.strerror}\n"))
        os.abort()


class Server:
    """Forks `program` for the requests that come on `channel`."""

    def __init__(self, channel: socket.socket, program: Program) -> None:
        self._channel = channel
        self._program = program
        self._pids: dict[int, int] = {}  # number → process
        self._arrived = b""
        self._passed: list[int] = []
        limit = resource.getrlimit(resource.RLIMIT_CPU)[0]
        self._spent = float("inf") if limit == resource.RLIM_INFINITY else limit / 2  # seconds
        # SIGCHLD rings: a signal that came between a look at it and a wait would not end the wait
        self._rung, self._bell = socket.socketpair()
        self._rung.setblocking(False)
        self._bell.setblocking(False)

    def serve(self) -> None:
        """Until the other side is gone."""
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        poll = select.poll()
        for sock in (self._channel, self._rung):
            poll.register(sock, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._rung.fileno() in ready:
                self._rung.recv(BLOCK)
                self._bury()
            if self._channel.fileno() in ready and not self._receive():
                return

    def _receive(self) -> bool:
        """Take octets and descriptors, and obey what is whole; False where the other side is gone."""
        try:
            data, ancillary, flags, _ = self._channel.recvmsg(BLOCK, socket.CMSG_SPACE(4 * DESCRIPTORS * 100))
        except OSError:
            return False
        if flags & socket.MSG_CTRUNC:  # RLIMIT_NOFILE: each that follows would be given another one's
            return False
        for _, _, passed in ancillary:
            self._passed += array.array("i", passed)
        self._arrived += data
        while len(self._arrived) >= LENGTH:
            length = int.from_bytes(self._arrived[:LENGTH], "big")
            if len(self._arrived) < LENGTH + length:
                break
            request = marshal.loads(self._arrived[LENGTH : LENGTH + length])
            self._arrived = self._arrived[LENGTH + length :]
            self._obey(*request)
        return bool(data)

    def _obey(self, number: int, *request: Any) -> None:
        if request:
            self._fork(number, *request)
        elif number in self._pids:
            kill(self._pids[number])

    def _fork(self, number: int, argv: list[bytes], environment: dict[bytes, bytes]) -> None:
        passed, self._passed = self._passed[:DESCRIPTORS], self._passed[DESCRIPTORS:]
        try:
            pid = os.fork()
        except OSError as fault:
            self._tell(number, -(fault.errno or errno.EAGAIN))
        else:
            if pid == 0:
                self._leave(*passed)
                become(self._program, argv, environment)
            self._know(number, pid)
        for descriptor in passed:
            os.close(descriptor)
        if time.process_time() > self._spent:
            self._tell(0, 0)  # a limit that is meant for each fork would end this process, too

    def _leave(self, *passed: int) -> None:
        """Be where a checker is, with nothing of ours. Where that fails it is killed, as in execute()."""
        try:
            take_place(*passed)
            ours = [sock.detach() for sock in (self._channel, self._rung, self._bell)]
            for descriptor in (*passed, *self._passed, *ours):
                os.close(descriptor)
        except OSError:
            traceback.print_exc()
            os.abort()

    def _know(self, number: int, pid: int) -> None:
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # it has done so itself, and has ended
        self._pids[number] = pid

    def _bury(self) -> None:
        """Tell of the forks that have ended."""
        for number, pid in list(self._pids.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._pids[number]
                self._tell(number, status)

    def _tell(self, number: int, status: int) -> None:
        try:
            self._channel.sendall(b"%d %d\n" % (number, status))
        except OSError:
            os._exit(0)


def kill(pid: int) -> None:
    """End the fork `pid` with its group, whether or not it is still in that."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def take_place(output: int, log: int, home: int) -> None:
    """Let this process be where a checker is: group, signals, directory, descriptors."""
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.fchdir(home)
    os.dup2(output, 1)
    os.dup2(log, 2)


def become(program: Program, argv: list[bytes], environment: dict[bytes, bytes]) -> None:
    """Be the checker, from here to the end of the process."""
    os.environ.clear()
    os.environb.update(environment)
    sys.argv[:] = [os.fsdecode(word) for word in argv]
    os._exit(status_of(program) & 0xFF)


def status_of(program: Program) -> int:
    """Call `program`, let it clear up, and say with which code the process is to end, as Python would."""
    status = 0
    try:
        status = exit_code(program())
    except SystemExit as end:
        status = exit_code(end.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()  # waits for threads, as an interpreter does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream and not stream.closed:
                stream.flush()
        except OSError:
            status = status or 120  # Python's own code for it
    return status


def exit_code(value: object) -> int:
    """The exit code that sys.exit(value) stands for."""
    if value is None or isinstance(value, int):
        return int(value or 0)
    print(value, file=sys.stderr)
    return 1


def main() -> None:
    """Serve until the other side closes the socket."""
    channel, path = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    sys.path.insert(0, os.path.dirname(path))
    sys.argv[:] = [path]
    try:
        program = load(path)
    except Exception:
        program = functools.partial(execute, path)
    gc.collect()
    gc.freeze()
    server = Server(channel, program)
    server.serve()


if __name__ == "__main__":
    main()
