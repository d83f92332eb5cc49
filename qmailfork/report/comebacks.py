"""Who was deferred and came back: what greylisting does."""

from qmailfork.logs.bounded import Recent
from qmailfork.report.counters import Times

REMEMBERED = 100_000  # deferred recipients that are waited for at the same time


class Comeback:
    """The recipients that one checker deferred: how many were `deferred` for the first time, `accepted` or `refused`
    when they came again, how many `retries` came too early, and the seconds until they were accepted.
    """

    def __init__(self) -> None:
        self.deferred = self.accepted = self.refused = self.retries = 0
        self.seconds = Times()


class Comebacks:
    """Follows deferred recipients, by client network, sender and recipient; `lost` were too many to follow."""

    def __init__(self) -> None:
        self.by_checker: dict[bytes, Comeback] = {}
        self._waiting: Recent[int, tuple[int, bytes]] = Recent(REMEMBERED)

    @property
    def lost(self) -> int:
        """How many had to be forgotten while they were waited for."""
        return self._waiting.lost

    def deferred(self, key: int, when: int, checker: bytes) -> None:
        """`checker` has deferred the recipient `key`."""
        waiting = self._waiting.get(key)
        if waiting:
            self._of(waiting[1]).retries += 1
            return
        self._waiting.put(key, (when, checker))
        self._of(checker).deferred += 1

    def settled(self, key: int, when: int, accepted: bool) -> None:
        """The recipient `key` was accepted, or refused for good."""
        waiting = self._waiting.pop(key)
        if waiting is None:
            return
        first, checker = waiting
        comeback = self._of(checker)
        if not accepted:
            comeback.refused += 1
            return
        comeback.accepted += 1
        if first and when >= first:
            comeback.seconds.add(when - first)

    def _of(self, checker: bytes) -> Comeback:
        return self.by_checker.setdefault(checker, Comeback())
