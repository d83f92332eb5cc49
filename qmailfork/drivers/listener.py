"""The parent of the workers: bind, spawn, wait, respawn, stop.

It touches no mail. Its workers know that it lives by a pipe: when that closes, whatever killed it, they take no more
clients in, finish their sessions and end, and the next instance can bind at once.
"""

import os
import signal
import socket
import time

from qmailfork.drivers.worker import main, room, tcpserver
from qmailfork.drivers.worker.options import Options
from qmailfork.drivers.worker.worker import Sockets
from qmailfork.system import log
from qmailfork.system.board import Board

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_TOLD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM)
BREATH = 1.0  # seconds before a worker that died young is replaced, or one that could not be forked tried again


class Listener:
    """Keeps `options.workers` workers at the `listening` sockets, and a reporter at those of `metrics`, if any."""

    def __init__(
        self, listening: Sockets, options: Options, null: int, metrics: "Sequence[socket.socket]" = ()
    ) -> None:
        self._listening = listening
        self._options = options
        self._limits = shares(options.limit, options.workers)
        self._metrics = metrics
        self._reporter, self._reporting_since = 0, 0.0  # its process id and start
        self._board = Board(self._limits, counts=bool(metrics))
        self._workers: dict[int, tuple[int, float]] = {}  # process id → row, start
        self._vacant: list[int] = []  # rows whose worker is still to be started
        self._stopping = False
        self._status = 0
        self._null = null
        self._lifeline = os.pipe()

    def descriptors(self) -> list[int]:
        """What has to stay open for run()."""
        metrics = [sock.fileno() for sock in self._metrics]
        return [self._null, self._board.descriptor(), *self._lifeline, *metrics]

    def run(self) -> int:
        """Until every worker has ended: the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
        if self._options.verbosity > 1:
            log.write(room.LOG, tcpserver.status(0, self._options.limit))
        for row in range(len(self._limits)):
            self._spawn(row)
        self._spawn_reporter()
        while self._workers or self._vacant:
            told = self._wait()
            if told is None:
                self._fill()
            elif told == signal.SIGCHLD:
                self._bury()
            elif told == signal.SIGHUP:
                self._tell(signal.SIGHUP)
            elif told != signal.SIGALRM:
                self._stop()
            elif self._stopping:  # else it is nobody's grace that is over
                self._tell(signal.SIGALRM)
        return self._status

    def _wait(self) -> int | None:
        """The next signal; None where it is time to start workers that are missing."""
        if not self._vacant:
            return signal.sigwait(_TOLD)
        told = signal.sigtimedwait(_TOLD, BREATH)
        return told.si_signo if told else None

    def _fill(self) -> None:
        rows, self._vacant = self._vacant, []
        for row in rows:
            self._spawn(row)

    def _spawn(self, row: int) -> None:
        """Start the worker of this `row`, or leave it vacant for a moment."""
        self._board.clear(row)
        try:
            pid = os.fork()
        except OSError as fault:
            self._warn(f"unable to start a worker: {fault.strerror}")
            self._vacant.append(row)
            return
        if pid == 0:
            os.close(self._lifeline[1])
            status = main.UNBOOTED
            try:
                self._leave_metrics()
                status = main.run(
                    self._listening, self._board, row, self._limits[row], self._options, self._null, self._lifeline[0]
                )
            except Exception as fault:  # nobody else would tell
                say(f"fatal: {fault}" if isinstance(fault, OSError) else f"fatal: internal fault: {fault!r}")
            finally:
                os._exit(status)
        self._workers[pid] = row, time.monotonic()

    def _leave_metrics(self) -> None:
        """A worker may outlive us: it would keep the address from the next instance."""
        for listening in self._metrics:
            listening.close()

    def _spawn_reporter(self) -> None:
        """Start who tells what the workers count, where that was asked for."""
        if not self._metrics:
            return
        self._reporting_since = time.monotonic()
        try:
            self._reporter = os.fork()
        except OSError as fault:
            self._warn(f"unable to start the reporter: {fault.strerror}")
            return
        if self._reporter == 0:
            os.close(self._lifeline[1])
            try:
                for listening in self._listening.all():
                    listening.close()
                from qmailfork.drivers import reporter  # noqa: PLC0415  # its library is an extra

                assert self._board.tallies
                reporter.run(list(self._metrics), self._board, self._board.tallies, self._lifeline[0])
            except Exception as fault:  # nobody else would tell
                say(f"fatal: the reporter: {fault!r}")
            finally:
                os._exit(0)

    def _replace_reporter(self) -> None:
        if time.monotonic() - self._reporting_since < BREATH:
            self._warn(f"reporter {self._reporter} ended at its start: no metrics")
        else:
            self._warn(f"reporter {self._reporter} ended, starting another")
            self._spawn_reporter()

    def _bury(self) -> None:
        """Take in the workers that have ended, and replace them unless we stop, or they could not start."""
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if pid == self._reporter and not self._stopping:
                self._replace_reporter()
            if pid in self._workers:
                row, began = self._workers.pop(pid)
                booted = self._board.is_ready(row)
                self._board.clear(row)
                if not self._stopping:
                    self._replace(row, pid, os.waitstatus_to_exitcode(status), booted, began)

    def _replace(self, row: int, pid: int, code: int, booted: bool, began: float) -> None:
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        if not booted:
            if code != main.UNBOOTED:  # else it has told why
                say(f"fatal: worker {pid} ended at its start ({how})")
            self._status = main.UNBOOTED
            self._stop()
            return
        self._warn(f"worker {pid} ended ({how}), starting another")
        if time.monotonic() - began < BREATH:
            self._vacant.append(row)
        else:
            self._spawn(row)

    def _warn(self, text: str) -> None:
        """One line in the log about what does not end us, unless -q."""
        if self._options.verbosity:
            say(text)

    def _stop(self) -> None:
        """Let the workers finish what they have; after the grace period their clients are sent away."""
        if not self._stopping:
            self._stopping = True
            self._vacant.clear()
            for listening in self._listening.all():
                listening.close()
            if self._options.grace:
                signal.setitimer(signal.ITIMER_REAL, self._options.grace)
        self._tell(signal.SIGTERM)

    def _tell(self, number: int) -> None:
        for pid in self._workers:
            os.kill(pid, number)


def shares(limit: int, workers: int) -> list[int]:
    """How many of `limit` sessions each of at most `workers` workers may have."""
    workers = min(workers, limit)
    return [limit // workers + (row < limit % workers) for row in range(workers)]


def say(text: str) -> None:
    """One line in the log."""
    log.write(room.LOG, f"qmailfork: {text}\n".encode(errors="surrogateescape"))
