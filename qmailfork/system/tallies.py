"""What the workers of one listener count, in memory that they share.

Each worker has a page of its own, so that none waits for another; whoever reads adds them up. A page outlives its
worker: what one that died had counted, its successor counts on from.
"""

import mmap

from qmailfork.programs.outcome import ANSWERED, BROKEN, EXITED, EXPIRED, SIGNALLED, UNSTARTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmailfork.programs.outcome import Outcome

ACCEPTED, REFUSED, DEFERRED = "accepted", "refused", "deferred"
DECISIONS = (ACCEPTED, REFUSED, DEFERRED)
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds
WORDS = (SIGNALLED, EXPIRED, UNSTARTED, ANSWERED, BROKEN)
QUEUE = b"queue"  # the first program of every page; no checker's, whose names are paths and addresses
OTHERS = b"others"  # the last one, for all that find no place of their own
MOST = 64  # programs of a page
_LONGEST = 120  # octets of a program's name
_WORD = 8  # octets of one number
_CODES = 1000
_EXITS = 256
_ENDS = _EXITS + len(WORDS)
_NAME = _LONGEST // _WORD
_PROGRAM = _NAME + _ENDS + len(BOUNDS) + 2  # name, ends, times with those above all bounds, microseconds in all
_HEAD = len(DECISIONS) + _CODES
_PAGE = _HEAD + MOST * _PROGRAM


class Program:
    """What is counted of one program: how often it came to which `ends` (exit code or a word of WORDS), how many took
    at most so many seconds (`times`, as BOUNDS and one more; not summed up), and all their `seconds`.
    """

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.times = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, numbers: "memoryview[int]") -> None:
        """Add what one page has."""
        for at, count in enumerate(numbers[:_ENDS]):
            if count:
                end = str(at) if at < _EXITS else WORDS[at - _EXITS]
                self.ends[end] = self.ends.get(end, 0) + count
        for at, count in enumerate(numbers[_ENDS:-1]):
            self.times[at] += count
        self.seconds += numbers[-1] / 1_000_000


class Tallies:
    """The pages of so many `workers`."""

    def __init__(self, workers: int) -> None:
        self._memory = memoryview(mmap.mmap(-1, workers * _PAGE * _WORD)).cast("Q")
        self.pages = [Page(self._memory[row * _PAGE : (row + 1) * _PAGE]) for row in range(workers)]

    def decisions(self) -> dict[str, int]:
        """How many recipients came to which decision."""
        return {name: sum(page.numbers[at] for page in self.pages) for at, name in enumerate(DECISIONS)}

    def replies(self) -> dict[int, int]:
        """How many replies had which code; those that none had are left out."""
        heads = [page.numbers[len(DECISIONS) : _HEAD] for page in self.pages]
        return {code: sum(counts) for code, counts in enumerate(zip(*heads, strict=True)) if any(counts)}

    def programs(self) -> dict[bytes, Program]:
        """What is counted of each program, by name."""
        found: dict[bytes, Program] = {}
        for page in self.pages:
            for name, at in page.places():
                found.setdefault(name, Program()).add(page.numbers[at : at + _PROGRAM - _NAME])
        return found


class Page:
    """What one worker counts, in the `numbers` that it shares."""

    __slots__ = ("_places", "numbers")

    def __init__(self, numbers: "memoryview[int]") -> None:
        self.numbers = numbers
        self._places: dict[bytes, int] = {}

    def decided(self, decision: int) -> None:
        """A recipient came to this one of DECISIONS."""
        self.numbers[decision] += 1

    def replied(self, code: int) -> None:
        """A reply with this `code` was given."""
        self.numbers[len(DECISIONS) + code] += 1

    def ended(self, program: bytes, outcome: "Outcome") -> None:
        """A program ended, or a resident one answered, so."""
        at = self._place(program)
        self.numbers[at + _end(outcome)] += 1
        seconds = outcome.milliseconds / 1000
        self.numbers[at + _ENDS + sum(seconds > bound for bound in BOUNDS)] += 1
        self.numbers[at + _PROGRAM - _NAME - 1] += int(seconds * 1_000_000)

    def places(self) -> "Iterator[tuple[bytes, int]]":
        """Each program that has a place here, and where its numbers begin."""
        for at in range(_HEAD, _PAGE, _PROGRAM):
            name = bytes(self.numbers[at : at + _NAME]).rstrip(b"\0")
            if name:
                yield name, at + _NAME

    def _place(self, program: bytes) -> int:
        at = self._places.get(program)
        if at is None:
            at = self._places[program] = self._find(_short(program))
        return at

    def _find(self, name: bytes) -> int:
        known = dict(self.places())
        if name not in known and len(known) >= MOST - 2 and name != QUEUE:
            name = OTHERS
        if name not in known:
            at = _HEAD + len(known) * _PROGRAM
            octets = memoryview(name.ljust(_LONGEST, b"\0")).cast("Q")
            self.numbers[at : at + _NAME] = octets
            known[name] = at + _NAME
        return known[name]


def _short(program: bytes) -> bytes:
    """The end of a name that is too long tells more than its beginning."""
    return program if len(program) <= _LONGEST else b"..." + program[3 - _LONGEST :]


def _end(outcome: "Outcome") -> int:
    if outcome.how == EXITED:
        return outcome.code & 255
    return _EXITS + WORDS.index(outcome.how)
