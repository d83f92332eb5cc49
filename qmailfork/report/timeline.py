"""The hours of a log in as many steps as a picture has room for."""

from dataclasses import dataclass
from datetime import datetime

from qmailfork.report.summary import Hour

STEPS = (1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 8766, 87660)  # hours


@dataclass(frozen=True)
class Timeline:
    """`bars` of `hours` each without a gap, from the first that has something to the last."""

    hours: int
    bars: list[Hour]


def timeline(found: list[Hour], most: int) -> Timeline:
    """`found` in at most `most` bars; days begin at midnight, local time."""
    if not found:
        return Timeline(1, [])
    shift = _offset(found[0].start)
    for hours in STEPS:
        seconds = hours * 3600
        first, last = ((one.start + shift) // seconds for one in (found[0], found[-1]))
        if last - first < most or hours == STEPS[-1]:
            break
    rows = [[0, 0, 0] for _ in range(last - first + 1)]
    for one in found:
        row = rows[(one.start + shift) // seconds - first]
        for column, number in enumerate((one.accepted, one.refused, one.deferred)):
            row[column] += number
    return Timeline(hours, [Hour((first + at) * seconds - shift, *row) for at, row in enumerate(rows)])


def _offset(when: int) -> int:
    """Seconds that local time is ahead of UTC."""
    offset = datetime.fromtimestamp(when).astimezone().utcoffset()
    return int(offset.total_seconds()) if offset else 0


def moment(when: int | None) -> str:
    """A time as people write it."""
    return "?" if when is None else datetime.fromtimestamp(when).strftime("%Y-%m-%d %H:%M")


def each(hours: int) -> str:
    """How long a bar is."""
    if hours % 24:
        return "hour" if hours == 1 else f"{hours} hours"
    return "day" if hours == 24 else f"{hours // 24} days"
