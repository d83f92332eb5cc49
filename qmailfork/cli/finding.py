"""What `qmailfork check` finds."""

from typing import NamedTuple

WARNING, ERROR = 1, 2  # the exit status, too


class Finding(NamedTuple):
    """How bad, where, what it is and why it matters, and how to mend it."""

    level: int
    where: str
    what: str
    mend: str
