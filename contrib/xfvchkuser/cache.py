"""What next hops have answered, kept in an SQLite file (VCHKUSER_CACHE) that outlives the process.

The cache is a help: whatever is wrong with it costs a log line and a call ahead, never an answer.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from threading import get_ident

from xfkit import log, number

from xfvchkuser.answers import YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from xfvchkuser.site import Site

PATIENCE = 1  # seconds that another process may hold the file
DAY = 86400
LAYOUT = 1
SCHEMA = f"""
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS answers (
    hop TEXT, recipient BLOB, answer INTEGER, fresh INTEGER, gone INTEGER, PRIMARY KEY (hop, recipient)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_gone ON answers (gone);
PRAGMA user_version = {LAYOUT};
COMMIT;
"""
FRESH = "SELECT answer FROM answers WHERE hop = ? AND recipient = ? AND fresh > ?"
STALE = "SELECT 1 FROM answers WHERE hop = ? AND recipient = ? AND gone > ? AND answer = ?"
EXPIRE = "DELETE FROM answers WHERE gone <= ?"
KEEP = "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)"


class Cache:
    """Answers by next hop and recipient; without VCHKUSER_CACHE it knows and keeps nothing."""

    __slots__ = ("no", "path", "stale_for", "yes")

    def __init__(self, site: Site) -> None:
        name = site.env.get("VCHKUSER_CACHE", "")
        self.path = site.path(name) if name else ""
        self.yes = number(site.env, "VCHKUSER_CACHE_YES", DAY)
        self.no = number(site.env, "VCHKUSER_CACHE_NO", 3600)
        self.stale_for = number(site.env, "VCHKUSER_CACHE_STALE", 7 * DAY)

    def fresh(self, hop: str, recipient: bytes) -> int | None:
        """Return the answer that is young enough to be believed, None for none."""
        row = self._do((FRESH, (hop, recipient, _now())))
        return row[0] if row else None

    def stale(self, hop: str, recipient: bytes) -> bool:
        """Say whether the recipient is known to have existed, for use while the next hop is in trouble."""
        return self._do((STALE, (hop, recipient, _now(), YES))) is not None

    def keep(self, hop: str, recipient: bytes, answer: int) -> None:
        """Keep an answer for as long as its kind is good, and drop what is no longer of use."""
        fresh = _now() + (self.yes if answer == YES else self.no)
        gone = fresh + (self.stale_for if answer == YES else 0)
        self._do((EXPIRE, (_now(),)), (KEEP, (hop, recipient, answer, fresh, gone)))

    def _do(self, *statements: tuple[str, tuple[object, ...]]) -> tuple[int, ...] | None:
        """Run statements in one transaction and return the last one's first row."""
        if not self.path:
            return None
        try:
            if not os.path.exists(self.path):
                _create(self.path)
            with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection:
                return _run(connection, statements)
        except (sqlite3.Error, OSError) as error:
            log("vchkuser", f"cache {self.path}: {error}")
            return None


def _create(path: str) -> None:
    """Make the file beside its place and link it there, so that whoever opens it finds it whole."""
    draft = f"{path}.{os.getpid()}.{get_ident()}"
    try:
        with closing(sqlite3.connect(draft)) as connection:
            connection.executescript(SCHEMA)
        os.link(draft, path)
    except FileExistsError:  # somebody else was faster
        pass
    finally:
        if os.path.exists(draft):
            os.unlink(draft)


def _run(
    connection: sqlite3.Connection, statements: Sequence[tuple[str, tuple[object, ...]]]
) -> tuple[int, ...] | None:
    if connection.execute("PRAGMA user_version").fetchone()[0] != LAYOUT:
        connection.executescript(SCHEMA)
    connection.execute("PRAGMA synchronous = NORMAL")
    with connection:
        rows: list[tuple[int, ...] | None]
        rows = [connection.execute(*statement).fetchone() for statement in statements]
    return rows[-1]


def _now() -> int:
    return int(time.time())
