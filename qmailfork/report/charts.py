"""The geometry of the page's charts, in per cent of their width and height."""

from dataclasses import dataclass
from datetime import datetime

from qmailfork.report.summary import Hour, Line, Summary
from qmailfork.report.timeline import each, moment, timeline

BARS = 96
LABELS = 6
GAP = 0.22  # of a bar's width
KINDS = ("accepted", "deferred", "refused")  # from the bottom up


@dataclass(frozen=True)
class Part:
    """A rectangle of one kind; `at` from the left or the top, as long as `size`."""

    kind: str
    at: float
    size: float


@dataclass(frozen=True)
class Bar:
    """One bar of the timeline: where it stands, what it is made of, and its `words`."""

    left: float
    width: float
    parts: list[Part]
    words: str


@dataclass(frozen=True)
class Mark:
    """A label on an axis, `at` per cent from its beginning."""

    at: float
    words: str


@dataclass(frozen=True)
class Chart:
    """The timeline: `each` bar is so long."""

    bars: list[Bar]
    rows: list[Mark]
    columns: list[Mark]
    each: str


def chart(summary: Summary) -> Chart:
    """The timeline of a log."""
    steps = timeline(summary.hours, BARS)
    top, ticks = _scale(max((_total(hour) for hour in steps.bars), default=0))
    width = 100 / max(len(steps.bars), 1)
    bars = [_bar(hour, at * width, width, top) for at, hour in enumerate(steps.bars)]
    rows = [Mark(100 - 100 * tick / top, f"{tick:,}") for tick in ticks]
    return Chart(bars, rows, _columns(steps.bars, steps.hours), each(steps.hours))


def _total(hour: Hour) -> int:
    return hour.accepted + hour.refused + hour.deferred


def _bar(hour: Hour, left: float, width: float, top: int) -> Bar:
    parts, level = [], 100.0
    for kind in KINDS:
        size = 100 * getattr(hour, kind) / top
        level -= size
        if size:
            parts.append(Part(kind, round(level, 2), round(size, 2)))
    said = ", ".join(f"{getattr(hour, kind):,} {kind}" for kind in KINDS)
    return Bar(round(left + width * GAP / 2, 3), round(width * (1 - GAP), 3), parts, f"{moment(hour.start)}: {said}")


def _scale(most: int) -> tuple[int, list[int]]:
    """A round number that is at least `most`, and the steps up to it."""
    step = 1
    while step * 4 < most:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    count = max(-(-most // step), 1)
    return count * step, [tick * step for tick in range(count + 1)]


def _columns(bars: list[Hour], hours: int) -> list[Mark]:
    """Six labels or fewer: at midnight where there are enough of them, else evenly spread."""
    starts = [datetime.fromtimestamp(bar.start) for bar in bars]
    days = [at for at, start in enumerate(starts) if start.hour < hours < 24]
    form = "%a %d %b"
    if len(days) < 2:
        days, form = list(range(len(bars))), "%d %b %H:%M" if hours < 24 else "%d %b %Y"
    shown = days[:: max(-(-len(days) // LABELS), 1)]
    return [Mark(round(100 * at / len(bars), 2), starts[at].strftime(form)) for at in shown]


def parts(line: Line, most: int) -> list[Part]:
    """A line of a table as a bar, against the table's longest."""
    found, left = [], 0.0
    for kind in KINDS:
        size = 100 * getattr(line, kind) / max(most, 1)
        if size:
            found.append(Part(kind, round(left, 2), round(size, 2)))
        left += size
    return found
