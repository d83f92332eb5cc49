"""Counting what may have any number of names, and times of any length, in bounded memory."""

from math import exp, log

ROOM = 20_000  # names that one table keeps
LONGEST = 200  # octets of a name
TIMES = 1000  # different ones that are kept as they are
ACCEPTED, REFUSED, DEFERRED = range(3)

Row = list[int]  # accepted, refused, deferred


class Top:
    """How often each name was accepted, refused and deferred.

    Of more than `room` names the rarer half is given up now and then and summed up in `rest`; `lost` counts how often
    that befell a name, so that where it is 0 every number is exact, and else a name may have missed some of its own.
    """

    def __init__(self, room: int = ROOM) -> None:
        self.rows: dict[bytes, Row] = {}
        self.rest: Row = [0, 0, 0]
        self.lost = 0
        self._room = room

    def add(self, name: bytes, column: int) -> None:
        """Count one."""
        try:
            self.rows[name][column] += 1
        except KeyError:
            self._row(name)[column] += 1

    def _row(self, name: bytes) -> Row:
        """The row of a name that may be new or too long."""
        if len(name) > LONGEST:
            name = name[:LONGEST] + b"..."
        row = self.rows.setdefault(name, [0, 0, 0])
        if len(self.rows) > self._room:
            self._give_up()
            row = self.rows.setdefault(name, [0, 0, 0])
        return row

    def _give_up(self) -> None:
        ordered = self.ordered()
        keep = len(ordered) // 2
        self._sum_up(ordered[keep:])
        self.lost += len(ordered) - keep
        self.rows = dict(ordered[:keep])

    def _sum_up(self, rows: list[tuple[bytes, Row]]) -> None:
        for _, row in rows:
            for column, number in enumerate(row):
                self.rest[column] += number

    def ordered(self) -> list[tuple[bytes, Row]]:
        """The names, the most frequent first."""
        return sorted(self.rows.items(), key=lambda one: (-sum(one[1]), one[0]))


class Times:
    """Percentiles of any number of times, each at least 0, in the unit they come in, to five per cent."""

    _STEP = log(1.05)

    def __init__(self) -> None:
        self._new: dict[float, int] = {}  # how often each came: logs have few digits, so many are equal
        self._buckets: dict[int, int] = {}
        self._longest = 0.0

    def add(self, time: float) -> None:
        """Count one."""
        try:
            self._new[time] += 1
        except KeyError:
            self._new[time] = 1
            if len(self._new) > TIMES:
                self._sum_up()

    def _sum_up(self) -> None:
        for time, number in self._new.items():
            bucket = int(log(time + 0.05) / self._STEP)  # 0.05: the log says a tenth of a millisecond
            self._buckets[bucket] = self._buckets.get(bucket, 0) + number
        self._longest = max(self._longest, *self._new, 0.0)
        self._new.clear()

    @property
    def count(self) -> int:
        """How many there were."""
        self._sum_up()
        return sum(self._buckets.values())

    @property
    def longest(self) -> float:
        """The longest of them."""
        self._sum_up()
        return self._longest

    def percentile(self, percent: float) -> float | None:
        """The time that `percent` of them do not exceed; None of none."""
        left = self.count * percent / 100
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return max(0.0, min(self._longest, round(exp((bucket + 1) * self._STEP) - 0.05, 1)))
        return None
