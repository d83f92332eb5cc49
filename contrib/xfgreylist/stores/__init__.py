"""Where the records live. One address says which store: SQLite, Redis or PostgreSQL.

A store is a class with these methods; every one may raise StoreDown, and nothing else:

    limit(seconds)                    how long each call from now on may take
    check(ask) -> Decision            atomic, and one round trip where there is a server
    lists() -> iterable of Entry      the manual lists
    enter(entries), strike(names)     write list entries, take them out (the number that was there)
    records() -> iterable of Record   all of them, the dead too
    put(records), remove(keys)        write records, take them out (the number that was there)
    expire(now) -> int                take out what is dead at now, a Unix time in seconds
    close()

An opened store belongs to the process and, one check at a time, to the thread that took it.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Protocol

    from xfgreylist.policy import Ask, Decision, Record

    class Store(Protocol):
        """What the module's text says."""

        def limit(self, seconds: float) -> None: ...
        def check(self, ask: Ask) -> Decision: ...
        def lists(self) -> Iterable[Entry]: ...
        def enter(self, entries: Iterable[Entry]) -> None: ...
        def strike(self, names: Iterable[str]) -> int: ...
        def records(self) -> Iterator[Record]: ...
        def put(self, records: Iterable[Record]) -> None: ...
        def remove(self, keys: Iterable[str]) -> int: ...
        def expire(self, now: int) -> int: ...
        def close(self) -> None: ...


SCHEMES = {  # scheme of the address -> module
    "sqlite": "sqlite",
    "redis": "redis",
    "rediss": "redis",
    "redis+unix": "redis",
    "redis+cluster": "redis",
    "rediss+cluster": "redis",
    "valkey": "redis",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}


class StoreDown(Exception):
    """The store cannot be used now; the text is one line for the log, without passwords."""


class Entry:
    """One line of the manual lists. name: `KIND:VALUE`. verdict: allow or deny. since: Unix time in seconds."""

    __slots__ = ("name", "since", "verdict")

    def __init__(self, name: str, verdict: str, since: int) -> None:
        self.name, self.verdict, self.since = name, verdict, since


def default_address(env: Mapping[str, str]) -> str:
    """Return the address of the embedded store, beneath qmail's home."""
    return f"sqlite:{env.get('QMAILHOME') or '/var/qmail'}/softfail/softfail.db"


def address(env: Mapping[str, str]) -> str:
    """Return the address of the store that the environment names."""
    return env.get("SOFTFAIL_STORE") or default_address(env)


def module(address: str) -> str:
    """Return the name of the store's module. Raises StoreDown for an address of no known kind."""
    scheme, colon, _ = address.partition(":")
    if not colon or scheme not in SCHEMES:
        raise StoreDown(f"SOFTFAIL_STORE begins with none of {' '.join(name + ':' for name in SCHEMES)}")
    return SCHEMES[scheme]


def connect(address: str, seconds: float) -> Store:
    """Open the store at address; no call on it takes longer than seconds. Raises StoreDown."""
    name = module(address)
    try:
        if name == "sqlite":
            from xfgreylist.stores.sqlite import SQLite  # noqa: PLC0415  # import only what is used

            return SQLite(address.partition(":")[2], seconds)
        if name == "redis":
            from xfgreylist.stores.redis import Redis  # noqa: PLC0415

            return Redis(address, seconds)
        from xfgreylist.stores.postgresql import PostgreSQL  # noqa: PLC0415
    except ImportError as trouble:
        raise StoreDown(f"{name}: {trouble}, it comes with qmailfork[checkers]") from None
    return PostgreSQL(address, seconds)


class Pool:
    """Open stores for the checks of one process: a check takes one, and gives it back if it is sound.

    A store that was opened before a fork is never used after it.
    """

    def __init__(self) -> None:
        self.idle: list[tuple[int, str, Store]] = []

    def take(self, address: str) -> Store | None:
        """Return an idle store at address, or None."""
        for held in reversed(self.idle):
            if held[:2] == (os.getpid(), address):
                try:
                    self.idle.remove(held)
                except ValueError:  # another thread was faster
                    continue
                return held[2]
        return None

    def give(self, address: str, store: Store) -> None:
        """Keep store for the next check."""
        self.idle.append((os.getpid(), address, store))

    def check(self, address: str, ask: Ask, seconds: float) -> Decision:
        """Put the question to the store at address. Raises StoreDown, within seconds if the store is down.

        An idle connection may have died with its server: then a new one is tried, once.
        """
        warm({"SOFTFAIL_STORE": address})  # loading the library is not the store's time
        end = time.monotonic() + seconds
        store = self.take(address)
        if store:
            try:
                return self._put(address, store, ask, end)
            except StoreDown:
                if time.monotonic() >= end:
                    raise
        return self._put(address, connect(address, end - time.monotonic()), ask, end)

    def _put(self, address: str, store: Store, ask: Ask, end: float) -> Decision:
        try:
            store.limit(end - time.monotonic())
            decision = store.check(ask)
        except StoreDown:
            store.close()
            raise
        self.give(address, store)
        return decision


def warm(env: Mapping[str, str]) -> None:
    """Import the library of the store that env names: a fork server then pays for it once.

    Nothing is opened, and what cannot be imported is the check's to report.
    """
    try:
        __import__("xfgreylist.stores." + module(address(env)))
    except (StoreDown, ImportError):
        pass
