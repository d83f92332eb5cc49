"""Counts the events of a log."""

import ipaddress
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

from qmailfork.logs import verdicts
from qmailfork.logs.jsonlines import Line
from qmailfork.logs.verdicts import Verdicts, decider
from qmailfork.programs.journal import Event
from qmailfork.report.comebacks import Comebacks
from qmailfork.report.counters import ACCEPTED, DEFERRED, LONGEST, REFUSED, Row, Times, Top
from qmailfork.report.shadows import Shadows

if TYPE_CHECKING:
    from qmailfork.programs.journal import Check

HOUR = 3600
COLUMNS = {verdicts.ACCEPTED: ACCEPTED, verdicts.REFUSED: REFUSED, verdicts.DEFERRED: DEFERRED}
DECIDERS = 1000  # that are told apart
OTHERS = b"(others)"
MESSAGES = (verdicts.QUEUED, verdicts.MESSAGE_REFUSED, verdicts.MESSAGE_DEFERRED)


class Decider:
    """A checker, or a rule of the server: recipients `refused` and `deferred`, times that it `failed`, was `asked`
    (as far as the log says), and how many milliseconds that took.
    """

    def __init__(self) -> None:
        self.refused = self.deferred = self.failed = self.asked = 0
        self.milliseconds = Times()


class Tally:
    """The numbers, as they grow. `environment` has the variables that say what exit codes mean."""

    def __init__(self, environment: dict[bytes, bytes]) -> None:
        self.total: Row = [0, 0, 0]
        self.messages = dict.fromkeys(MESSAGES, 0)
        self.hours: dict[int, Row] = defaultdict(lambda: [0, 0, 0])
        self.first = self.last = 0
        self.deciders: dict[bytes, Decider] = {}
        self.recipients, self.senders, self.networks = Top(), Top(), Top()
        self.comebacks, self.shadows = Comebacks(), Shadows()
        self._verdicts = Verdicts(environment)

    def add(self, when: int, number: int, event: Event) -> None:
        """Count an event that the process `number` logged at `when` (Unix seconds, 0: not known)."""
        verdict = self._verdicts.of(event)
        self.last = max(self.last, when)
        if 0 < when < self.first or not self.first:
            self.first = when
        column = COLUMNS.get(verdict)
        if column is not None:
            self._decided(when, number, event, column)
        elif verdict == verdicts.SHADOWED:
            self.shadows.refused(number, event.recipient, self._name(event))
        elif verdict == verdicts.FAILED:
            self._decider(self._name(event)).failed += 1
        elif verdict in self.messages:
            self.messages[verdict] += 1
            if verdict != verdicts.QUEUED:
                self._blame(event, REFUSED if verdict == verdicts.MESSAGE_REFUSED else DEFERRED)

    def _decided(self, when: int, number: int, event: Event, column: int) -> None:
        """A recipient, or a command before any."""
        self.total[column] += 1
        if when:
            self.hours[when // HOUR][column] += 1
        where = network(event.ip)
        self.networks.add(where, column)
        for name, took in event.times() if isinstance(event, Line) else _times(event.checks):
            self._asked(name, took)
        name = b"" if column == ACCEPTED else self._blame(event, column)
        recipient, sender = event.recipient, event.sender
        if not recipient:
            return
        self.recipients.add(domain(recipient), column)
        self.senders.add(domain(sender) if sender else b"<>", column)
        key = hash((where, sender, recipient))
        if column == DEFERRED:
            self.comebacks.deferred(key, when, name)
        else:
            self.comebacks.settled(key, when, column == ACCEPTED)
            self.shadows.settled(number, recipient, sender, column == ACCEPTED)

    def _blame(self, event: Event, column: int) -> bytes:
        name = self._name(event)
        one = self._decider(name)
        if column == REFUSED:
            one.refused += 1
        else:
            one.deferred += 1
        return name

    def _asked(self, name: bytes, took: float | None) -> None:
        one = self.deciders.get(name) or self._decider(name[:LONGEST])
        one.asked += 1
        if took is not None:
            one.milliseconds.add(took)

    def _name(self, event: Event) -> bytes:
        name = decider(event)[:LONGEST]
        return name if name in self.deciders or len(self.deciders) < DECIDERS else OTHERS

    def _decider(self, name: bytes) -> Decider:
        one = self.deciders.get(name)
        if one is None:
            if len(self.deciders) >= DECIDERS:
                name = OTHERS
            one = self.deciders.setdefault(name, Decider())
        return one


def _times(checks: "list[Check]") -> list[tuple[bytes, float | None]]:
    return [(checker.program, None if end.cached else end.milliseconds) for checker, end in checks]


def domain(address: bytes) -> bytes:
    """The domain of an address, in small letters; an address without one is local."""
    _, at, name = address.rpartition(b"@")
    return name.lower() if at else b"(no domain)"


def network(ip: bytes) -> bytes:
    """The network that a client's address is counted under: /24, or /48 with IPv6; other words stay as they are."""
    if b":" in ip:
        return _network6(ip)
    head, dot, _ = ip.rpartition(b".")
    return head + b".0/24" if dot else ip


@lru_cache(maxsize=100_000)
def _network6(ip: bytes) -> bytes:
    try:
        return str(ipaddress.ip_network((ip.decode(), 48), strict=False)).encode()
    except ValueError:
        return ip[:LONGEST]
