"""What a listener has counted, read from where `qmailfork listen --metrics` tells it."""

import http.client
import socket
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from qmailfork.system import sockets

SECONDS = 5.0
INFINITE = float("inf")


class Unread(Exception):
    """The numbers could not be read; the text says from where, and why."""


class Program:
    """A checker or the queue program: its `ends` and how often, how many `times` up to which second, their `sum`."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.times: list[tuple[float, float]] = []
        self.sum = 0.0

    @property
    def runs(self) -> int:
        """How often it came to an end."""
        return int(self.times[-1][1]) if self.times else 0

    def within(self, share: float) -> float:
        """The seconds within which this share of its runs ended, or more: a bound of the histogram."""
        return next((bound for bound, count in self.times if count >= share * self.runs), INFINITE)

    def as_json(self) -> dict[str, Any]:
        """Its members for --json; null for a time above all bounds."""
        shares = {f"p{share}": self.within(share / 100) for share in (50, 90, 99)}
        bounds = {name: None if bound == INFINITE else bound for name, bound in shares.items()}
        return {"runs": self.runs, "ends": self.ends, "seconds": round(self.sum, 6), **bounds}


class Counted:
    """What `text`, in Prometheus' format, says. Raises ValueError where it is not that."""

    def __init__(self, text: str) -> None:
        self.open = self.limit = self.sessions = 0
        self.replies: dict[str, int] = {}
        self.recipients: dict[str, int] = {}
        self.checkers: dict[str, Program] = {}
        self.queue = Program()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._take(sample.name.removeprefix("qmailfork_"), sample.labels, sample.value)

    def _take(self, name: str, labels: dict[str, str], value: float) -> None:
        if name in _NUMBERS:
            setattr(self, _NUMBERS[name], int(value))
        elif name == "replies_total":
            self.replies[labels["code"]] = int(value)
        elif name == "recipients_total":
            self.recipients[labels["decision"]] = int(value)
        elif name.startswith("checker_"):
            program = self.checkers.setdefault(labels["checker"], Program())
            _take(program, name.removeprefix("checker_"), labels, value)
        elif name.startswith("queue_"):
            _take(self.queue, name.removeprefix("queue_"), labels, value)

    def as_json(self) -> dict[str, Any]:
        """Its members for --json."""
        return {
            "sessions": {"open": self.open, "limit": self.limit, "total": self.sessions},
            "replies": self.replies,
            "recipients": self.recipients,
            "checkers": {name: program.as_json() for name, program in self.checkers.items()},
            "queue": self.queue.as_json(),
        }


_NUMBERS = {"open_sessions": "open", "sessions_limit": "limit", "sessions_total": "sessions"}


def _take(program: Program, name: str, labels: dict[str, str], value: float) -> None:
    if name == "ends_total":
        program.ends[labels["end"]] = int(value)
    elif name == "seconds_bucket":
        program.times.append((float(labels["le"]), value))
    elif name == "seconds_sum":
        program.sum = value


class _Connection(http.client.HTTPConnection):
    """HTTP at a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


def connection(address: str) -> http.client.HTTPConnection:
    """HTTP at `address`: unix:PATH, a PATH with a slash in it, or HOST:PORT. Raises Unread."""
    if "/" in address and not address.startswith("unix:"):
        address = f"unix:{address}"
    try:
        path, host, port = sockets.place(address)
    except sockets.BindFault as fault:
        raise Unread(str(fault)) from None
    return _Connection(path) if path else http.client.HTTPConnection(host, int(port), timeout=SECONDS)


def read(address: str) -> Counted:
    """What the listener at `address` says now. Raises Unread."""
    asking = connection(address)
    try:
        asking.request("GET", "/metrics")
        text = asking.getresponse().read().decode()
    except (OSError, http.client.HTTPException, ValueError) as fault:
        why = (fault.strerror if isinstance(fault, OSError) else "") or str(fault) or type(fault).__name__
        raise Unread(f"{address}: {why}") from None
    finally:
        asking.close()
    try:
        counted = Counted(text)
    except (ValueError, KeyError) as fault:
        raise Unread(f"{address}: no metrics ({fault})") from None
    if not counted.limit:
        raise Unread(f"{address}: not the metrics of qmailfork listen")
    return counted
