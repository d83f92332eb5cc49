"""Ctrl-C: the first one lets the checkers that run come to their ends, the second breaks off at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from qmailfork.cli.replays import pool

WORDS = b"\nqmailfork replay: waiting for the checkers that run; once more, and it breaks off at once\n"


@contextmanager
def heeded() -> Iterator[None]:
    """SIGINT has this meaning. Raises KeyboardInterrupt at the second, and at the end where there was a first."""
    before = signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pool.STOPPED[0]:
        raise KeyboardInterrupt


def _stop(number: int, frame: FrameType | None) -> None:
    pool.STOPPED[0] = 1
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.write(2, WORDS)
