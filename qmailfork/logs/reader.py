"""Logs, line by line, as the events that they tell of."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from qmailfork.logs import files, jsonlines, ldap, spamcontrol
from qmailfork.logs.files import Unreadable
from qmailfork.logs.stamps import LATEST, Stamps
from qmailfork.programs.journal import Event

Found = TypeVar("Found")
Told = tuple[int, int, Event]  # Unix seconds (0: not known), process id, event


class Counts:
    """What the reading met: `lines` in all, and of them

    `events` that told of something, `others` that were somebody else's (checkers' own words, tcpserver's), `broken`
    ones, `unfinished` ones at the end of a file, those `outside` the window of time, and `undated` ones that no window
    can hold; `allowed` and `denied` are tcpserver's connections, `faults` sentences about files.
    """

    def __init__(self) -> None:
        self.lines = self.events = self.others = self.broken = self.unfinished = self.outside = self.undated = 0
        self.allowed = self.denied = 0
        self.faults: list[str] = []


class Reader:
    """Reads `paths` (directories, files, `-`), from `since` up to before `until` (Unix seconds; None: no bound).

    `progress` is told of each portion of octets; `counts` fill up while reading. Raises Unreadable where a directory
    has no log in it; a file that cannot be read is told in the counts, and the others are read.
    """

    def __init__(
        self,
        paths: Iterable[str],
        since: int | None = None,
        until: int | None = None,
        progress: Callable[[int], object] = lambda octets: None,
    ) -> None:
        self.files = [file for path in paths for file in files.found(path, since or 0)]
        self.size = sum(map(files.size, self.files))
        self.counts = Counts()
        self._since, self._until = since or 0, LATEST if until is None else until
        self._bounded = since is not None or until is not None
        self.progress = progress
        self._stamps = Stamps(time.time())
        self._when = 0  # of the last line
        self._ldap = ldap.Reader()

    def __iter__(self) -> Iterator[Told]:
        for file in self.files:
            try:
                for lines in self._portions(file):
                    yield from self._read(lines)
            except Unreadable as fault:
                self.counts.faults.append(str(fault))
        for number, event in self._ldap.close():
            if self._inside(self._when):
                self.counts.events += 1
                yield self._when, number, event

    def _portions(self, file: str) -> Iterator[list[bytes]]:
        """The whole lines of `file`, as many as come at once."""
        split, counts = files.Lines(), self.counts
        try:
            for block in files.blocks(file, self.progress):
                lines = split.of(block)
                counts.lines += len(lines)
                yield lines
            if split.rest:
                counts.lines += 1
                counts.unfinished += 1
        finally:
            counts.lines += split.overlong
            counts.broken += split.overlong

    def _read(self, lines: list[bytes]) -> Iterator[Told]:
        split, words_of, counts, everything = self._stamps.split, self._words, self.counts, not self._bounded
        for line in lines:
            if len(line) > files.LONGEST:
                counts.broken += 1
                continue
            try:
                self._when, words = split(line)
                told = words_of(words)
            except ValueError:
                counts.broken += 1
                continue
            for number, event in told:
                if everything or self._inside(self._when):
                    counts.events += 1
                    yield self._when, number, event

    def _words(self, words: bytes) -> "Iterable[tuple[int, Event]]":
        """What one line says. Raises ValueError for a broken one."""
        if words.startswith(spamcontrol.START):
            return (_whole(spamcontrol.read(words[len(spamcontrol.START) :])),)
        if words.startswith(jsonlines.START):
            one = jsonlines.read(words)
            return (one,) if one else self._other(words)
        if words.startswith(ldap.START):
            return _whole(self._ldap.read(words[len(ldap.START) :]))
        return self._other(words)

    def _other(self, words: bytes) -> tuple[()]:
        """A line that tells of no decision. Raises ValueError for rubbish."""
        if b"\0" in words or words.startswith(b"qmail-smtpd: pid"):
            raise ValueError(words)
        self.counts.others += bool(words.strip())
        self.counts.allowed += words.startswith(b"tcpserver: ok ")
        self.counts.denied += words.startswith(b"tcpserver: deny ")
        return ()

    def _inside(self, when: int) -> bool:
        """Whether a time is in the window, and counts what is not."""
        if not self._bounded or (when and self._since <= when < self._until):
            return True
        if when:
            self.counts.outside += 1
        else:
            self.counts.undated += 1
        return False


def _whole(read: Found | None) -> Found:
    """What was read. Raises ValueError for nothing."""
    if read is None:
        raise ValueError
    return read
