"""Redis or Valkey, alone or as a cluster: one list for several mail exchangers.

A check is one call of check.lua, so nobody comes between its reading and its writing, and it is one round trip. Its
keys must lie in one slot of a cluster: every client belongs to one of SHARDS shards, whose number is the keys' hash
tag (redis.io, Cluster specification, Hash tags), and each shard has its own copy of the manual lists. Layout, the same
without a cluster:

    {softfail:7}list         hash: KIND:VALUE -> "allow 1700000000"
    {softfail:7}t CLIENT …   hash: first last tries early passes expires host; Redis takes it out when it is dead
"""

from __future__ import annotations

import itertools
import os
import time
import zlib

from redis import Redis as Server
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from xfgreylist.deadline import Guard
from xfgreylist.policy import FIELDS, Decision, Record
from xfgreylist.stores import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    from xfgreylist.policy import Ask

    T = TypeVar("T")

SHARDS = 16  # never change it: the keys of a site lie where this number put them
BATCH = 500  # keys in one pipeline

with open(os.path.join(os.path.dirname(__file__), "check.lua"), encoding="utf-8") as file:
    SCRIPT = file.read()


def tag(shard: int) -> str:
    """Return the beginning of the keys of a shard."""
    return f"{{softfail:{shard}}}"


def shard(client: str) -> int:
    """Return the number of the client's shard."""
    return zlib.crc32(client.encode()) % SHARDS


def key(name: str) -> str:
    """Return the key in Redis of the record called name, whose second word is its client."""
    return tag(shard(name.split(" ")[1])) + name


class Redis:
    """The server or cluster at address; see `xfgreylist.stores` for the methods."""

    def __init__(self, address: str, seconds: float) -> None:
        self.guarded = Guard("Redis", seconds)
        self.server: Any = self.guarded(lambda: _connect(address, seconds))
        self.digest = ""

    def limit(self, seconds: float) -> None:
        """Set how long each call may take."""
        self.guarded.seconds = seconds

    def close(self) -> None:
        """Close the connections."""
        if not self.guarded.late:
            self.server.close()

    def check(self, ask: Ask) -> Decision:
        """Have the script decide and write down."""
        start = tag(shard(ask.client))
        keys = (start + "list", *(start + name for name in ask.names()))
        reason, seconds, entry = self.guarded(lambda: self._script(*keys, *arguments(ask)))
        return Decision(reason.decode(), int(seconds), entry.decode())

    def _script(self, *words: str | int) -> Any:
        """Run the script by its digest; a server that does not have it yet gets the text."""
        digest = self.digest or _digest()
        try:
            answer = self.server.evalsha(digest, 5, *words)
        except NoScriptError:
            answer = self.server.eval(SCRIPT, 5, *words)
        self.digest = digest
        return answer

    def lists(self) -> Iterator[Entry]:
        """Return the manual lists, by name; the shards' copies are alike, so one is read."""
        found = self.guarded(lambda: self.server.hgetall(tag(0) + "list"))
        for name, value in sorted(found.items()):
            verdict, _, since = value.decode().partition(" ")
            yield Entry(name.decode(), verdict, int(since or 0))

    def enter(self, entries: Iterable[Entry]) -> None:
        """Write list entries into every shard; cut short, it is mended by doing it again."""
        values = {entry.name: f"{entry.verdict} {entry.since}" for entry in entries}
        if values:
            self._pipeline(lambda pipe, start: pipe.hset(start, mapping=values), LISTS)

    def strike(self, names: Iterable[str]) -> int:
        """Take list entries out of every shard, return how many there were."""
        names = list(names)
        counts = self._pipeline(lambda pipe, start: pipe.hdel(start, *names), LISTS) if names else [0]
        return int(max(counts))

    def records(self) -> Iterator[Record]:
        """Return all records, in no order."""
        keys = self._keys()
        while batch := list(itertools.islice(keys, BATCH)):
            yield from self._read(batch)

    def _keys(self) -> Iterator[bytes]:
        """Return the keys of all records; each of the many answers has the time that one may take."""
        try:
            yield from self.server.scan_iter(match="{softfail:*}? *", count=BATCH)
        except (RedisError, OSError) as trouble:
            raise self.guarded.down(trouble) from None

    def _read(self, keys: list[bytes]) -> Iterator[Record]:
        rows = self._pipeline(lambda pipe, name: pipe.hmget(name, *FIELDS), keys)
        for name, row in zip(keys, rows, strict=True):
            if None not in row:  # else it died in between
                numbers = [int(value) for value in row[:-1]]
                yield Record.of(name.decode().partition("}")[2], numbers, row[-1].decode())

    def put(self, records: Iterable[Record]) -> None:
        """Write records, each to live as long as it says by this host's clock."""
        now = int(time.time())
        living = [record for record in records if record.expires > now]
        self._pipeline(
            lambda pipe, record: pipe.hset(key(record.key), mapping=dict(zip(FIELDS, record.values(), strict=True))),
            living,
        )
        self._pipeline(lambda pipe, record: pipe.expire(key(record.key), record.expires - now), living)

    def remove(self, keys: Iterable[str]) -> int:
        """Take out records, return how many there were."""
        return sum(self._pipeline(lambda pipe, name: pipe.delete(key(name)), list(keys)))

    def expire(self, now: int) -> int:
        """Take out what is dead; Redis has done most of it."""
        return self.remove([record.key for record in self.records() if record.expires <= now])

    def _pipeline(self, add: Callable[[Any, Any], object], items: list[Any]) -> list[Any]:
        """Return the answers to what add puts into a pipeline for each of items, BATCH at a time."""
        answers: list[Any] = []
        for start in range(0, len(items), BATCH):
            pipe = self.server.pipeline(**({} if isinstance(self.server, RedisCluster) else {"transaction": False}))
            for item in items[start : start + BATCH]:
                add(pipe, item)
            answers += self.guarded(pipe.execute)
        return answers


LISTS = [tag(shard) + "list" for shard in range(SHARDS)]


def arguments(ask: Ask) -> tuple[str | int, ...]:
    """Return the script's arguments after its keys."""
    limits = ask.limits
    numbers = (ask.now, int(ask.learn), limits.unblock, limits.seen, limits.insist, limits.block, limits.retry)
    return (*numbers, limits.keep, limits.white_client, ask.white_domain(), ask.host, *ask.candidates)


def _digest() -> str:
    from hashlib import sha1  # noqa: PLC0415  # what EVALSHA wants

    return sha1(SCRIPT.encode()).hexdigest()


def _connect(address: str, seconds: float) -> Server | RedisCluster:
    """Open the address, whose scheme is one of ours. The connection is made at the first command."""
    scheme, _, rest = address.partition(":")
    options: dict[str, Any] = {"socket_connect_timeout": seconds, "socket_timeout": seconds}
    if scheme.endswith("+cluster"):
        base = scheme.removesuffix("+cluster")
        return RedisCluster.from_url(f"{base}:{rest}", **options)
    base = {"redis+unix": "unix", "valkey": "redis"}.get(scheme, scheme)
    retry = Retry(NoBackoff(), 0)
    return Server.from_url(f"{base}:{rest}", retry=retry, **options)
