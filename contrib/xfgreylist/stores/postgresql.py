"""PostgreSQL: one list for several mail exchangers.

A check is one call of softfail.check_2 (postgresql.sql), hence one round trip and one transaction. The function holds
an advisory lock on the client meanwhile, so two checks of one client follow each other and others run beside them.
The schema is made by whoever first finds that it is missing.
"""

from __future__ import annotations

import os
import socket
from functools import partial

import psycopg
from psycopg import errors

from xfgreylist.deadline import Guard
from xfgreylist.policy import FIELDS, Decision, Record
from xfgreylist.stores import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, TypeVar

    from xfgreylist.policy import Ask

    T = TypeVar("T")

SCHEMA = os.path.join(os.path.dirname(__file__), "postgresql.sql")
SCHEMA_LOCK = 0x736F667466616C  # «softfal», the advisory lock of whoever makes the schema
MISSING = (errors.InvalidSchemaName, errors.UndefinedFunction, errors.UndefinedTable)
CONNECT = 2  # seconds after which a connect that was left behind gives up; libpq knows no fewer
BATCH = 1000  # rows in one statement

CHECK = "SELECT reason, seconds, entry FROM softfail.check_2(" + ", ".join(["%s"] * 13) + ")"
COLUMNS = ", ".join(("key", *FIELDS))
WRITE = (
    f"INSERT INTO softfail.record ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (key) DO UPDATE"
    f" SET ({', '.join(FIELDS)}) = ({', '.join('excluded.' + field for field in FIELDS)})"
)
ENTER = (
    "INSERT INTO softfail.list (name, verdict, since) VALUES (%s, %s, %s)"
    " ON CONFLICT (name) DO UPDATE SET verdict = excluded.verdict, since = excluded.since"
)


class PostgreSQL:
    """The database at address; see `xfgreylist.stores` for the methods."""

    def __init__(self, address: str, seconds: float) -> None:
        self.guarded = Guard("PostgreSQL", seconds)
        options = f"-c statement_timeout={max(int(seconds * 1000), 1)}"  # a late answer is not worth its work
        self.base = self.guarded(
            lambda: psycopg.connect(
                address, autocommit=True, prepare_threshold=None, options=options, connect_timeout=CONNECT
            )
        )

    def limit(self, seconds: float) -> None:
        """Set how long each call may take."""
        self.guarded.seconds = seconds

    def close(self) -> None:
        """Close the connection; a call that was left behind gets an end of file, and is over."""
        try:
            if not self.guarded.late:
                self.base.close()
                return
            with socket.socket(fileno=os.dup(self.base.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)
        except (psycopg.Error, OSError):  # it has ended by itself
            pass

    def check(self, ask: Ask) -> Decision:
        """Have the function decide and write down."""
        limits = ask.limits
        numbers = (limits.unblock, limits.seen, limits.insist, limits.block, limits.retry, limits.keep)
        white = (limits.white_client, ask.white_domain())
        words = (ask.host, list(ask.candidates), list(ask.names()))
        return Decision(*self._rows(CHECK, (ask.now, ask.learn, *numbers, *white, *words))[0])

    def lists(self) -> Iterator[Entry]:
        """Return the manual lists, by name."""
        rows = self._rows("SELECT name, verdict, since FROM softfail.list ORDER BY name")
        return (Entry(*row) for row in rows)

    def enter(self, entries: Iterable[Entry]) -> None:
        """Write list entries; one of the same name is replaced."""
        self._many(ENTER, [(entry.name, entry.verdict, entry.since) for entry in entries])

    def strike(self, names: Iterable[str]) -> int:
        """Take out list entries, return how many there were."""
        return self._count("DELETE FROM softfail.list WHERE name = ANY(%s)", (list(names),))

    def records(self) -> Iterator[Record]:
        """Return all records in the order of their keys, a batch at a time."""
        last = ""
        query = f"SELECT {COLUMNS} FROM softfail.record WHERE key > %s ORDER BY key LIMIT {BATCH}"
        while rows := self._rows(query, (last,)):
            yield from (Record(*row) for row in rows)
            last = rows[-1][0]

    def put(self, records: Iterable[Record]) -> None:
        """Write records."""
        self._many(WRITE, [(record.key, *record.values()) for record in records])

    def remove(self, keys: Iterable[str]) -> int:
        """Take out records, return how many there were."""
        return self._count("DELETE FROM softfail.record WHERE key = ANY(%s)", (list(keys),))

    def expire(self, now: int) -> int:
        """Take out what is dead, a batch to a transaction, return how many."""
        removed = 0
        while gone := self._rows("SELECT softfail.sweep_1(%s, %s)", (now, BATCH))[0][0]:
            removed += gone
        return removed

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._made(lambda: self.base.execute(query, values).fetchall())

    def _count(self, query: str, values: Sequence[Any]) -> int:
        return self._made(partial(self.base.execute, query, values)).rowcount

    def _many(self, query: str, rows: list[Any]) -> None:
        for start in range(0, len(rows), BATCH):
            self._made(partial(self._execute_many, query, rows[start : start + BATCH]))

    def _execute_many(self, query: str, rows: list[Any]) -> None:
        with self.base.cursor() as cursor:
            cursor.executemany(query, rows)

    def _made(self, work: Callable[[], T]) -> T:
        """Return work(); if the schema turns out to be missing, make it and do the work again."""
        return self.guarded(lambda: self._making(work))

    def _making(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except MISSING:
            with open(SCHEMA, "rb") as file, self.base.transaction():
                self.base.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
                self.base.execute(file.read())
            return work()
