"""The numbers of a log as plain data: what all the pictures are drawn from, and what --json writes."""

from dataclasses import dataclass, field

from qmailfork.logs.reader import Counts
from qmailfork.report.counters import Row, Times, Top
from qmailfork.report.tally import Decider, Tally

LONGEST = 200


def text(value: bytes) -> str:
    """`value` as printable text: what is not, as an escape."""
    return _printable(value)[:LONGEST]


def _printable(value: bytes) -> str:
    plain = value.decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in plain)


@dataclass(frozen=True)
class Line:
    """A name, and how often it was accepted, refused and deferred."""

    name: str
    accepted: int
    refused: int
    deferred: int

    @property
    def total(self) -> int:
        """All three."""
        return self.accepted + self.refused + self.deferred


@dataclass(frozen=True)
class Table:
    """The most frequent names; `rest` sums up all the others, and `exact` says that no name missed any of its own."""

    lines: list[Line]
    rest: Line
    names: int
    exact: bool


@dataclass(frozen=True)
class Hour:
    """What was decided from `start` on, in Unix seconds."""

    start: int
    accepted: int
    refused: int
    deferred: int


@dataclass(frozen=True)
class Checker:
    """A checker or a rule of the server. Times in milliseconds; None where the log has none."""

    name: str
    refused: int
    deferred: int
    failed: int
    asked: int
    p50: float | None
    p95: float | None
    p99: float | None
    slowest: float | None


@dataclass(frozen=True)
class Comeback:
    """What became of the recipients that a checker deferred: `missing` have not come again yet. Times in seconds."""

    checker: str
    deferred: int
    accepted: int
    refused: int
    missing: int
    retries: int
    p50: float | None
    p90: float | None


@dataclass(frozen=True)
class Shadow:
    """A checker on trial: what it would have `refused`, of that `accepted` all the same, of that from senders of whom
    other mail was accepted without its objection (`known`).
    """

    checker: str
    refused: int
    accepted: int
    known: int


@dataclass(frozen=True)
class Summary:
    """All of it. `first` and `last` in Unix seconds, None where the log has no times."""

    first: int | None
    last: int | None
    accepted: int
    refused: int
    deferred: int
    messages: dict[str, int]
    connections: dict[str, int]
    hours: list[Hour]
    checkers: list[Checker]
    recipients: Table
    senders: Table
    networks: Table
    comebacks: list[Comeback]
    shadows: list[Shadow]
    lines: dict[str, int]
    faults: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All decisions."""
        return self.accepted + self.refused + self.deferred


def of(tally: Tally, counts: Counts, top: int) -> Summary:
    """The summary of a log that was read, with the `top` names of each table."""
    accepted, refused, deferred = tally.total
    return Summary(
        first=tally.first or None,
        last=tally.last or None,
        accepted=accepted,
        refused=refused,
        deferred=deferred,
        messages={name.replace(" ", "_"): number for name, number in tally.messages.items()},
        connections={"allowed": counts.allowed, "denied": counts.denied},
        hours=[Hour(hour * 3600, *row) for hour, row in sorted(tally.hours.items())],
        checkers=_checkers(tally.deciders),
        recipients=_table(tally.recipients, top),
        senders=_table(tally.senders, top),
        networks=_table(tally.networks, top),
        comebacks=_comebacks(tally),
        shadows=_shadows(tally),
        lines={name: number for name, number in vars(counts).items() if name not in ("allowed", "denied", "faults")},
        faults=[_printable(fault.encode("utf-8", "surrogateescape")) for fault in counts.faults],
    )


def _table(top: Top, most: int) -> Table:
    ordered = top.ordered()
    rest: Row = [number + sum(row[at] for _, row in ordered[most:]) for at, number in enumerate(top.rest)]
    lines = [Line(text(name), *row) for name, row in ordered[:most]]
    return Table(lines, Line("all others", *rest), len(ordered) + top.lost, not top.lost)


def _checkers(deciders: dict[bytes, Decider]) -> list[Checker]:
    ordered = sorted(deciders.items(), key=lambda one: (-one[1].refused - one[1].deferred, -one[1].asked, one[0]))
    return [_checker(name, one) for name, one in ordered]


def _checker(name: bytes, one: Decider) -> Checker:
    times = one.milliseconds
    p50, p95, p99 = (times.percentile(percent) for percent in (50, 95, 99))
    slowest = round(times.longest, 1) if times.count else None
    return Checker(text(name), one.refused, one.deferred, one.failed, one.asked, p50, p95, p99, slowest)


def _comebacks(tally: Tally) -> list[Comeback]:
    found = []
    for checker, one in sorted(tally.comebacks.by_checker.items(), key=lambda pair: -pair[1].deferred):
        p50, p90 = _seconds(one.seconds)
        missing = one.deferred - one.accepted - one.refused
        found.append(
            Comeback(text(checker), one.deferred, one.accepted, one.refused, missing, one.retries, p50, p90)
        )  # fmt: skip
    return found


def _seconds(times: Times) -> tuple[float | None, float | None]:
    return times.percentile(50), times.percentile(90)


def _shadows(tally: Tally) -> list[Shadow]:
    found = sorted(tally.shadows.found().items(), key=lambda pair: -pair[1].refused)
    return [Shadow(text(checker), one.refused, one.accepted, one.known) for checker, one in found]
