"""Whose turn is it to write? A lock beside the SQLite file, which costs a waiter next to nothing to ask for.

SQLite has no queue: a waiter begins its transaction again and again, at 10 times the price, and SQLite's own busy
handler backs off to 100 ms, so that with many writers some starve. The kernel gives the lock of a killed process to
the next. A blocking flock(2) would know no time limit.
"""

from __future__ import annotations

import fcntl
import os
import time

PAUSE = 0.002  # seconds, at least, between two tries


class Turn:
    """The lock file at path, which is made where it is missing. Raises OSError if that cannot be."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self) -> bool:
        """Say whether the lock was free, and is now held."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Say whether the lock came within seconds, and is now held."""
        end = time.monotonic() + seconds
        while not self.take():
            if time.monotonic() >= end:
                return False
            time.sleep(PAUSE * (1 + time.perf_counter_ns() % 1000 / 1000))  # the nanoseconds are the dice
        return True

    def leave(self) -> None:
        """Let the next one have it."""
        fcntl.flock(self.file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file."""
        os.close(self.file)
