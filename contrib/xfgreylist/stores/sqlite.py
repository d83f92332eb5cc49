"""The embedded store: one SQLite file in WAL mode, shared by all checkers of a host.

Each check is one immediate transaction, so none sees another's half work; the writers stand in line (turn.py). A
process killed at any point leaves a file that the next one opens (www.sqlite.org/wal.html). Where SQLite says «busy»
all the same, for another program's sake, the work is tried again until the time is over.
"""

from __future__ import annotations

import os
import sqlite3
import time
from functools import partial

from xfgreylist.policy import FIELDS, Decision, Record, decide
from xfgreylist.stores import Entry, StoreDown
from xfgreylist.stores.turn import Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, TypeVar

    from xfgreylist.policy import Ask

    T = TypeVar("T")

VERSION = 1  # of the schema, kept in PRAGMA user_version
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}  # somebody else's turn
SWEEP = 4  # dead records taken out for each new one: the file stays clean without a cron job
BATCH = 1000  # rows in one transaction of a person's command: checks come between
PAUSE = 0.002  # seconds between two tries
QUEUE = 20.0  # seconds that a writer stands in line at most, as long as the line moves

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS list (name TEXT PRIMARY KEY, verdict TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL,
  tries INTEGER NOT NULL, early INTEGER NOT NULL, passes INTEGER NOT NULL, expires INTEGER NOT NULL,
  host TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_expires ON record (expires);
PRAGMA user_version = {VERSION}
"""
COLUMNS = ", ".join(("key", *FIELDS))
READ = f"SELECT {COLUMNS} FROM record WHERE key IN (?, ?, ?, ?) AND expires > ?"
WRITE = f"INSERT OR REPLACE INTO record ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
EXPIRE = "DELETE FROM record WHERE key IN (SELECT key FROM record WHERE expires <= ? ORDER BY expires LIMIT ?)"


class SQLite:
    """The file at path; see `xfgreylist.stores` for the methods."""

    def __init__(self, path: str, seconds: float) -> None:
        self.path, self.seconds, self.end = path, seconds, 0.0
        if path in ("", ":memory:"):  # which SQLite would forget with each check
            raise StoreDown("SOFTFAIL_STORE names no file: sqlite:PATH")
        fresh = not os.path.exists(path)
        try:
            self.base = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            self.turn = Turn(path + "-turn")
            if fresh:
                _lend(path)
                _lend(path + "-turn")
        except (sqlite3.Error, OSError) as trouble:
            raise self._down(trouble) from None
        try:
            self._patiently(self._prepare)
        except StoreDown:
            self.close()
            raise

    def limit(self, seconds: float) -> None:
        """Set how long each call may take; it gets no shorter: a file that has been opened is not down, but busy."""
        self.seconds = max(self.seconds, seconds)

    def close(self) -> None:
        """Close the files."""
        self.base.close()
        self.turn.close()

    def check(self, ask: Ask) -> Decision:
        """Decide and write down in one transaction."""
        return self._write(partial(self._check, ask))

    def _check(self, ask: Ask) -> Decision:
        keys = ask.names()
        found = {row[0]: Record(*row) for row in self.base.execute(READ, (*keys, ask.now))}
        block, client, domain, triplet = (found.get(key) or Record(key) for key in keys)
        decision, changed = decide(ask, self._listed(ask.candidates), block, client, domain, triplet)
        for record in changed:
            self.base.execute(WRITE, (record.key, *record.values()))
        if decision.reason == "unknown" and changed:
            self.base.execute(EXPIRE, (ask.now, SWEEP))
        return decision

    def _listed(self, names: Sequence[str]) -> tuple[str, str] | None:
        marks = ", ".join("?" * len(names))
        found = dict(self._rows(f"SELECT name, verdict FROM list WHERE name IN ({marks})", names))
        return next(((name, found[name]) for name in names if name in found), None)

    def lists(self) -> Iterator[Entry]:
        """Return the manual lists, by name."""
        rows = self._patiently(partial(self._rows, "SELECT name, verdict, since FROM list ORDER BY name"))
        return (Entry(*row) for row in rows)

    def enter(self, entries: Iterable[Entry]) -> None:
        """Write list entries; one of the same name is replaced."""
        rows = [(entry.name, entry.verdict, entry.since) for entry in entries]
        self._many("INSERT OR REPLACE INTO list VALUES (?, ?, ?)", rows)

    def strike(self, names: Iterable[str]) -> int:
        """Take out list entries, return how many there were."""
        return self._many("DELETE FROM list WHERE name = ?", [(name,) for name in names])

    def records(self) -> Iterator[Record]:
        """Return all records in the order of their keys, a batch at a time: writers wait for no reader."""
        query = f"SELECT {COLUMNS} FROM record WHERE key > ? ORDER BY key LIMIT {BATCH}"
        last = ""
        while rows := self._patiently(partial(self._rows, query, (last,))):
            yield from (Record(*row) for row in rows)
            last = rows[-1][0]

    def put(self, records: Iterable[Record]) -> None:
        """Write records, a batch to a transaction."""
        self._many(WRITE, [(record.key, *record.values()) for record in records])

    def remove(self, keys: Iterable[str]) -> int:
        """Take out records, return how many there were."""
        return self._many("DELETE FROM record WHERE key = ?", [(key,) for key in keys])

    def expire(self, now: int) -> int:
        """Take out what is dead, a batch to a transaction, return how many."""
        removed = 0
        while gone := self._write(partial(self.base.execute, EXPIRE, (now, BATCH))).rowcount:
            removed += gone
        return removed

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        return self.base.execute(query, values).fetchall()

    def _many(self, query: str, rows: Sequence[Sequence[object]]) -> int:
        """Run query for each of rows, a batch to a transaction; return how many rows it changed."""
        changed = 0
        for start in range(0, len(rows), BATCH):
            changed += self._write(partial(self.base.executemany, query, rows[start : start + BATCH])).rowcount
        return changed

    def _prepare(self) -> None:
        if self.base.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            self._in_turn(partial(self.base.execute, "PRAGMA journal_mode = WAL"))
            self._transaction(lambda: [self.base.execute(part) for part in SCHEMA.split(";")])
        self.base.execute("PRAGMA synchronous = NORMAL")  # in WAL mode a crash loses seconds, never the file

    def _write(self, work: Callable[[], T]) -> T:
        return self._patiently(partial(self._transaction, work))

    def _transaction(self, work: Callable[[], T]) -> T:
        return self._in_turn(partial(self._immediately, work))

    def _in_turn(self, work: Callable[[], T]) -> T:
        if not self.turn.take():
            self._queue()
        try:
            return work()
        finally:
            self.turn.leave()

    def _queue(self) -> None:
        """Wait for the turn. Raises TimeoutError when the time is over, unless others get on: busy is not down."""
        longest = time.monotonic() + QUEUE
        before = self._version()
        while not self.turn.wait(self.end - time.monotonic()):
            now = self._version()
            if now == before or time.monotonic() > longest:
                raise TimeoutError("database is locked")
            before, self.end = now, time.monotonic() + self.seconds

    def _version(self) -> int | None:
        """Return a number that changes with every commit of others; None where that cannot be seen."""
        try:
            return int(self._rows("PRAGMA data_version")[0][0])
        except sqlite3.Error:
            return None

    def _immediately(self, work: Callable[[], T]) -> T:
        self.base.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self.base.execute("COMMIT")
        except BaseException:
            if self.base.in_transaction:
                self.base.execute("ROLLBACK")
            raise
        return result

    def _patiently(self, work: Callable[[], T]) -> T:
        """Return work(), tried again while others hold the file, until the time is over."""
        self.end = time.monotonic() + self.seconds
        while True:
            try:
                return work()
            except sqlite3.Error as trouble:
                if getattr(trouble, "sqlite_errorcode", 0) & 255 not in BUSY or time.monotonic() >= self.end:
                    raise self._down(trouble) from None
            except OSError as trouble:
                raise self._down(trouble) from None
            time.sleep(PAUSE)

    def _down(self, trouble: Exception) -> StoreDown:
        return StoreDown(f"{self.path}: {trouble}")


def _lend(path: str) -> None:
    """Give a file that root made to the directory's owner: the checkers run as that user."""
    if os.geteuid() == 0:
        owner = os.stat(os.path.dirname(os.path.abspath(path)))
        os.chown(path, owner.st_uid, owner.st_gid)
