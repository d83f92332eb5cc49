"""A process beside the workers that tells what they have counted, for Prometheus: HTTP on a socket of its own."""

import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any
from wsgiref import simple_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from qmailfork.system import hosts
from qmailfork.system.board import Board
from qmailfork.system.tallies import BOUNDS, QUEUE, Program, Tallies

SECONDS = 10  # that a reader may keep us waiting
PAUSE = 0.2  # seconds before a reader is accepted whom there was no descriptor for


class Counted(Collector):
    """What `board` and `tallies` say, as metrics. No label has a value that a client chooses."""

    def __init__(self, board: Board, tallies: Tallies) -> None:
        self._board = board
        self._tallies = tallies

    def collect(self) -> Iterator[Metric]:
        """Each metric, as it stands now."""
        yield GaugeMetricFamily("qmailfork_open_sessions", "Sessions that are open.", self._board.sessions())
        yield GaugeMetricFamily("qmailfork_sessions_limit", "Sessions that may be open.", self._board.limit)
        yield CounterMetricFamily("qmailfork_sessions", "Sessions since the start.", self._board.ever())
        replies = CounterMetricFamily("qmailfork_replies", "Replies to clients, by code.", labels=["code"])
        for code, count in self._tallies.replies().items():
            replies.add_metric([f"{code:03}"], count)
        yield replies
        decided = CounterMetricFamily("qmailfork_recipients", "Recipients, by decision.", labels=["decision"])
        for decision, count in self._tallies.decisions().items():
            decided.add_metric([decision], count)
        yield decided
        yield from _of_programs(self._tallies.programs())


def _of_programs(programs: dict[bytes, Program]) -> Iterator[Metric]:
    queue = programs.pop(QUEUE, Program())
    checkers = {name.decode("utf-8", "backslashreplace"): counted for name, counted in sorted(programs.items())}
    ends = CounterMetricFamily(
        "qmailfork_checker_ends", "Checkers that ended so: exit code, or a word.", labels=["checker", "end"]
    )
    times = HistogramMetricFamily("qmailfork_checker_seconds", "Time of a checker.", labels=["checker"])
    for name, counted in checkers.items():
        for end, count in counted.ends.items():
            ends.add_metric([name, end], count)
        times.add_metric([name], _buckets(counted), counted.seconds)
    yield ends
    yield times
    ends = CounterMetricFamily("qmailfork_queue_ends", "Queue programs that ended so.", labels=["end"])
    for end, count in queue.ends.items():
        ends.add_metric([end], count)
    yield ends
    yield HistogramMetricFamily("qmailfork_queue_seconds", "Time of the queue program.", _buckets(queue), queue.seconds)


def _buckets(counted: Program) -> list[tuple[str, float]]:
    """How many took at most so many seconds, as Prometheus has it: each bound with all below."""
    buckets, total = [], 0
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], counted.times, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, app: Any) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        listening.setblocking(True)
        self.server_name, self.server_port = "localhost", 0
        self.setup_environ()
        self.set_app(app)

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next reader. Raises OSError where none can be accepted, which the caller drops, to look anew at once."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(PAUSE)
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away is no news."""


class _Handler(simple_server.WSGIRequestHandler):
    timeout = SECONDS

    def setup(self) -> None:
        super().setup()
        self.client_address = ("", 0)  # a Unix socket has none

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: descriptor 2 is the mail's log."""


def run(listening: list[socket.socket], board: Board, tallies: Tallies, parent: int) -> None:
    """Tell whoever asks, until the listener is gone (`parent` reads its end of a pipe)."""
    threading.stack_size(hosts.STACK)
    registry = CollectorRegistry()
    registry.register(Counted(board, tallies))
    app = make_wsgi_app(registry)
    for sock in listening:
        threading.Thread(target=_Server(sock, app).serve_forever, daemon=True).start()
    while os.read(parent, 1):
        pass
