"""A worker process, from its fork to its end."""

import asyncio
import gc
import posix
import signal
import threading

from qmailfork.conversation.settings import ControlFault
from qmailfork.drivers.worker.options import Options
from qmailfork.drivers.worker.reactor import reactor
from qmailfork.drivers.worker.worker import Sockets, Worker
from qmailfork.system import hosts
from qmailfork.system.board import Board

UNBOOTED = 111  # the exit status of one that could not start, and has told why
NEEDED = 16  # descriptors that a loop and the first session take
RARELY = 50_000, 20, 50  # a session leaves no cycles behind, so there is little to collect


def event_loop(kind: str) -> asyncio.AbstractEventLoop:
    """The loop of this `kind`: asyncio, uvloop, or auto for uvloop where it is installed. Raises ImportError."""
    if kind != "asyncio":
        try:
            import uvloop  # noqa: PLC0415  # optional

            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
        except ImportError:
            if kind == "uvloop":
                raise
    return asyncio.new_event_loop()


def _expect_descriptors(null: int) -> None:
    """Raise OSError where there are too few descriptors for a loop: uvloop would abort(), asyncio clutter the log."""
    copies: list[int] = []
    try:
        while len(copies) < NEEDED:
            copies.append(posix.dup(null))
    finally:
        for copy in copies:
            posix.close(copy)


def run(listening: Sockets, board: Board, row: int, limit: int, options: Options, null: int, parent: int) -> int:
    """Serve until the listener says stop, or is gone (`parent` reads its end of a pipe): the exit status."""
    signal.signal(signal.SIGINT, lambda number, frame: None)  # the parent's affair; ignored, it would be so in programs
    threading.stack_size(hosts.STACK)  # names are looked up in threads
    gc.freeze()
    gc.set_threshold(*RARELY)
    try:
        _expect_descriptors(null)
        loop = event_loop(options.loop)
        asyncio.set_event_loop(loop)
        watching = reactor(loop)
        worker = Worker(watching, listening, board, row, limit, options, null)
    except (ControlFault, OSError) as fault:
        posix.write(2, f"qmailfork: fatal: {fault}\n".encode(errors="surrogateescape"))
        return UNBOOTED
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    loop.add_signal_handler(signal.SIGHUP, worker.reload)
    loop.add_signal_handler(signal.SIGALRM, worker.hurry)
    # not before: a signal would kill a worker that starts, and uvloop loses one that comes before it runs
    loop.call_soon(signal.pthread_sigmask, signal.SIG_SETMASK, ())

    def orphaned() -> None:
        watching.ignore_readable(parent)
        worker.stop()

    watching.on_readable(parent, orphaned)
    loop.run_until_complete(worker.serve())
    return 0
