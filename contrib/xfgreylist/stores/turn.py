"""Whose turn is it to write? A lock beside the SQLite file, in whose queue the kernel keeps the waiters.

SQLite itself has no queue: a waiter asks again and again, and either burns the processor or starves. The kernel wakes
who has waited, and gives the lock of a killed process to the next.
"""

from __future__ import annotations

import fcntl
import os


class Turn:
    """The lock file at path, which is made where it is missing. Raises OSError if that cannot be."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.file = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self) -> bool:
        """Say whether the lock was free, and is now held."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Say whether the lock came within seconds, and is now held.

        A blocking flock(2) knows no time limit, so it has a thread. One that is left behind holds nothing: its file is
        closed, and the lock goes as soon as it comes.
        """
        from xfgreylist.deadline import within  # noqa: PLC0415  # threading is imported only by who has to wait

        waited_on = self.file
        try:
            within(seconds, lambda: fcntl.flock(waited_on, fcntl.LOCK_EX))
        except TimeoutError:
            self.close()
            self._open()
            return False
        return True

    def leave(self) -> None:
        """Let the next one have it."""
        fcntl.flock(self.file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file."""
        os.close(self.file)
