"""The embedded store: one SQLite file in WAL mode, shared by all checkers of a host.

Each check is one immediate transaction: the writers stand in line and none sees the other's half work. A process
killed at any point leaves a file that the next one opens (www.sqlite.org/wal.html). SQLite's own wait for a lock
backs off to 100 ms and starves the unlucky; here a waiter asks again every millisecond or two.
"""

from __future__ import annotations

import os
import sqlite3
import time

from xfgreylist.policy import FIELDS, Decision, Record, decide
from xfgreylist.stores import Entry, StoreDown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    from xfgreylist.policy import Ask

    T = TypeVar("T")

VERSION = 1  # of the schema, kept in PRAGMA user_version
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}  # somebody else's turn
SWEEP = 4  # dead records taken out for each new one: the file stays clean without a cron job
BATCH = 1000  # records in one transaction, and in one statement's list of keys fewer
PAUSE = 0.0005  # seconds, at least, between two tries for the lock

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
        self.path, self.seconds = path, seconds
        fresh = not os.path.exists(path)
        try:
            self.base = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as trouble:
            raise self._down(trouble) from None
        if fresh:
            _lend(path)
        self._patiently(self._prepare)

    def close(self) -> None:
        """Close the file."""
        self.base.close()

    def check(self, ask: Ask) -> Decision:
        """Decide and write down in one transaction."""
        return self._write(lambda: self._check(ask))

    def _check(self, ask: Ask) -> Decision:
        keys = ask.keys()
        found = {row[0]: Record(*row) for row in self.base.execute(READ, (*keys, ask.now))}
        block, client, domain, triplet = (found.get(key) or Record(key) for key in keys)
        unknown = not triplet.tries
        decision, changed = decide(ask, self._listed(ask.candidates), block, client, domain, triplet)
        for record in changed:
            self.base.execute(WRITE, (record.key, *record.values()))
        if unknown and changed:
            self.base.execute(EXPIRE, (ask.now, SWEEP))
        return decision

    def _listed(self, names: Iterable[str]) -> tuple[str, str] | None:
        names = list(names)
        marks = ", ".join("?" * len(names))
        rows = self.base.execute(f"SELECT name, verdict FROM list WHERE name IN ({marks})", names)
        found = dict(rows.fetchall())
        return next(((name, found[name]) for name in names if name in found), None)

    def lists(self) -> Iterator[Entry]:
        """Return the manual lists, by name."""
        rows = self._patiently(
            lambda: self.base.execute("SELECT name, verdict, since FROM list ORDER BY name").fetchall()
        )
        return (Entry(*row) for row in rows)

    def enter(self, entries: Iterable[Entry]) -> None:
        """Write list entries; one of the same name is replaced."""
        rows = [(entry.name, entry.verdict, entry.since) for entry in entries]
        self._write(lambda: self.base.executemany("INSERT OR REPLACE INTO list VALUES (?, ?, ?)", rows))

    def strike(self, names: Iterable[str]) -> int:
        """Take out list entries, return how many there were."""
        rows = [(name,) for name in names]
        return self._write(lambda: self.base.executemany("DELETE FROM list WHERE name = ?", rows).rowcount)

    def records(self) -> Iterator[Record]:
        """Return all records in the order of their keys, a batch at a time: writers wait for no reader."""
        query = f"SELECT {COLUMNS} FROM record WHERE key > ? ORDER BY key LIMIT {BATCH}"
        last = ""
        while rows := self._patiently(lambda last=last: self.base.execute(query, (last,)).fetchall()):
            yield from (Record(*row) for row in rows)
            last = rows[-1][0]

    def put(self, records: Iterable[Record]) -> None:
        """Write records, a batch to a transaction."""
        rows = [(record.key, *record.values()) for record in records]
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            self._write(lambda batch=batch: self.base.executemany(WRITE, batch))

    def remove(self, keys: Iterable[str]) -> int:
        """Take out records, return how many there were."""
        rows = [(key,) for key in keys]
        removed = 0
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            removed += self._write(
                lambda batch=batch: self.base.executemany("DELETE FROM record WHERE key = ?", batch).rowcount
            )
        return removed

    def expire(self, now: int) -> int:
        """Take out what is dead, a batch to a transaction, return how many."""
        removed = 0
        while gone := self._write(lambda: self.base.execute(EXPIRE, (now, BATCH)).rowcount):
            removed += gone
        return removed

    def _prepare(self) -> None:
        if self.base.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            self.base.execute("PRAGMA journal_mode = WAL")
            self._transaction(lambda: [self.base.execute(part) for part in SCHEMA.split(";")])
        self.base.execute("PRAGMA synchronous = NORMAL")  # in WAL mode a crash loses seconds, never the file

    def _write(self, work: Callable[[], T]) -> T:
        return self._patiently(lambda: self._transaction(work))

    def _transaction(self, work: Callable[[], T]) -> T:
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
        end = time.monotonic() + self.seconds
        while True:
            try:
                return work()
            except sqlite3.Error as trouble:
                if getattr(trouble, "sqlite_errorcode", 0) & 255 not in BUSY or time.monotonic() >= end:
                    raise self._down(trouble) from None
            time.sleep(PAUSE + time.perf_counter_ns() % 1000 / 1e6)  # the nanoseconds are the dice

    def _down(self, trouble: sqlite3.Error) -> StoreDown:
        return StoreDown(f"{self.path}: {trouble}")


def _lend(path: str) -> None:
    """Give a file that root made to the directory's owner: the checkers run as that user."""
    if os.geteuid() == 0:
        owner = os.stat(os.path.dirname(os.path.abspath(path)))
        os.chown(path, owner.st_uid, owner.st_gid)
