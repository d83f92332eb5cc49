"""Memories that a long log cannot make grow without limit."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Seen(Generic[Key]):
    """Knows at least the `most` keys that were added last, and at most twice as many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._new: set[Key] = set()
        self._old: set[Key] = set()

    def add(self, key: Key) -> None:
        """Keep `key` in mind."""
        self._new.add(key)
        if len(self._new) > self._most:
            self._old, self._new = self._new, set()

    def __contains__(self, key: Key) -> bool:
        return key in self._new or key in self._old


class Recent(Generic[Key, Value]):
    """A mapping that keeps the `most` keys that were put last; `lost` counts the ones that had to go."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self.lost = 0

    def get(self, key: Key) -> Value | None:
        """What is kept under `key`."""
        return self._kept.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep `value` under `key`, at the expense of the oldest."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
            self.lost += 1

    def pop(self, key: Key) -> Value | None:
        """What was kept under `key`, which is forgotten."""
        return self._kept.pop(key, None)

    def items(self) -> list[tuple[Key, Value]]:
        """All that is kept, the oldest first."""
        return list(self._kept.items())

    def __len__(self) -> int:
        return len(self._kept)
