"""The decision about one recipient, as a pure function over five records.

A check knows a client (a network, or `spf:DOMAIN` for an authenticated pool), the host that stands for it now,
a sender, a recipient and the sender's domain. Four records take part, each under a key that names the client:

    t client sender recipient   the triplet: when it was first seen, how often, how often it passed
    c client                    how many triplets of this client have passed
    d client domain             the same for one sender domain of this client
    b client host               a block: the host insisted, and is refused while this record lives

A record lives until its `expires`; what is dead counts as never seen. A clock that was ahead and has gone back leaves
records of the future: a triplet that waits begins again, a block lasts no longer than one that is made now.

The SQLite store runs `decide` itself. Redis and PostgreSQL hold the same rules in check.lua and postgresql.sql, so that
a check is one round trip; the tests drive all three through the same scenarios.
"""

from __future__ import annotations

from xfkit import DEFER, PASS, REFUSE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FIELDS = ("first", "last", "tries", "early", "passes", "expires", "host")

CODES = {  # reason -> exit code
    "allowed": PASS,
    "denied": REFUSE,
    "blocked": REFUSE,
    "insists": REFUSE,
    "white-client": PASS,
    "white-domain": PASS,
    "known": PASS,
    "ripe": PASS,
    "unknown": DEFER,
    "early": DEFER,
}


class Limits:
    """The numbers of the policy, as softfail(8) names them; times in seconds, a count of 0 turns its rule off."""

    __slots__ = ("block", "insist", "keep", "retry", "seen", "unblock", "white_client", "white_domain")

    def __init__(
        self,
        unblock: int = 300,
        seen: int = 70,
        insist: int = 10,
        block: int = 3600,
        retry: int = 172800,
        keep: int = 3110400,
        white_client: int = 10,
        white_domain: int = 5,
    ) -> None:
        self.unblock, self.seen, self.insist, self.block = unblock, seen, insist, block
        self.retry, self.keep = retry, keep
        self.white_client, self.white_domain = white_client, white_domain


class Ask:
    """One question to a store. now: Unix time in seconds. candidates: list entries, the first found decides.

    learn: whether an unknown triplet is written down; without it an unknown one leaves no trace.
    """

    __slots__ = ("candidates", "client", "domain", "host", "learn", "limits", "now", "recipient", "sender")

    def __init__(
        self,
        now: int,
        limits: Limits,
        client: str,
        host: str,
        sender: str,
        recipient: str,
        domain: str = "",
        candidates: Sequence[str] = (),
        learn: bool = True,
    ) -> None:
        self.now, self.limits, self.learn = now, limits, learn
        self.client, self.host, self.domain = client, host, domain
        self.sender, self.recipient, self.candidates = sender, recipient, candidates

    def names(self) -> tuple[str, str, str, str]:
        """Return the keys of the records of block, client, domain and triplet."""
        return (
            f"b {self.client} {self.host}",
            f"c {self.client}",
            f"d {self.client} {self.domain}",
            f"t {self.client} {self.sender} {self.recipient}",
        )

    def white_domain(self) -> int:
        """Return how many passed triplets whitelist the domain; 0 (never) for a sender without one."""
        return self.limits.white_domain if self.domain else 0


class Record:
    """What a store keeps under one key. first, last, expires: Unix time in seconds; the rest are counts."""

    __slots__ = ("early", "expires", "first", "host", "key", "last", "passes", "tries")

    def __init__(
        self,
        key: str,
        first: int = 0,
        last: int = 0,
        tries: int = 0,
        early: int = 0,
        passes: int = 0,
        expires: int = 0,
        host: str = "",
    ) -> None:
        self.key, self.first, self.last, self.tries = key, first, last, tries
        self.early, self.passes, self.expires, self.host = early, passes, expires, host

    @classmethod
    def of(cls, key: str, numbers: Sequence[int], host: str) -> Record:
        """Return the record of key with the values of FIELDS."""
        first, last, tries, early, passes, expires = numbers
        return cls(key, first, last, tries, early, passes, expires, host)

    def values(self) -> tuple[int, int, int, int, int, int, str]:
        """Return the fields in the order of FIELDS."""
        return (self.first, self.last, self.tries, self.early, self.passes, self.expires, self.host)


class Decision:
    """reason: a key of CODES. seconds: left to wait, or waited. entry: the list entry that decided."""

    __slots__ = ("entry", "reason", "seconds")

    def __init__(self, reason: str, seconds: int = 0, entry: str = "") -> None:
        self.reason, self.seconds, self.entry = reason, seconds, entry

    @property
    def code(self) -> int:
        """The checker's exit code."""
        return CODES[self.reason]


def decide(
    ask: Ask, listed: tuple[str, str] | None, block: Record, client: Record, domain: Record, triplet: Record
) -> tuple[Decision, tuple[Record, ...]]:
    """Return the decision and the records that it changed. listed: the list entry that matched, `allow` or `deny`.

    Dead records must come in as empty ones: `Record(key)`.
    """
    if listed:
        entry, verdict = listed
        return Decision("allowed" if verdict == "allow" else "denied", 0, entry), ()
    if block.expires > ask.now:
        _touch(block, ask.now, min(block.expires, ask.now + ask.limits.block))
        return Decision("blocked", block.expires - ask.now), (block,)
    for record, enough, reason in (
        (client, ask.limits.white_client, "white-client"),
        (domain, ask.white_domain(), "white-domain"),
    ):
        if 0 < enough <= record.passes:
            _touch(record, ask.now, ask.now + ask.limits.keep)
            return Decision(reason), (record,)
    if not triplet.tries or (not triplet.passes and triplet.first - ask.now > ask.limits.unblock):
        return _unknown(ask, Record(triplet.key))
    if not triplet.passes and ask.now - triplet.first < ask.limits.unblock:
        return _early(ask, block, triplet)
    return _passed(ask, client, domain, triplet)


def _touch(record: Record, now: int, expires: int) -> None:
    record.first = record.first or now
    record.last, record.expires = now, expires
    record.tries += 1


def _unknown(ask: Ask, triplet: Record) -> tuple[Decision, tuple[Record, ...]]:
    decision = Decision("unknown", ask.limits.unblock)
    if not ask.learn:
        return decision, ()
    _touch(triplet, ask.now, ask.now + ask.limits.retry)
    triplet.host = ask.host
    return decision, (triplet,)


def _early(ask: Ask, block: Record, triplet: Record) -> tuple[Decision, tuple[Record, ...]]:
    """Another try too soon: only one host's tries in a row are insisting, a pool takes turns."""
    hurried = triplet.host == ask.host and ask.now - triplet.last < ask.limits.seen
    triplet.early = triplet.early + 1 if hurried else 0
    triplet.host = ask.host
    _touch(triplet, ask.now, triplet.expires)
    if not 0 < ask.limits.insist < triplet.early:
        return Decision("early", triplet.first + ask.limits.unblock - ask.now), (triplet,)
    triplet.expires = 0
    _touch(block, ask.now, ask.now + ask.limits.block)
    return Decision("insists", ask.limits.block), (block, triplet)


def _passed(ask: Ask, client: Record, domain: Record, triplet: Record) -> tuple[Decision, tuple[Record, ...]]:
    """A triplet's first pass counts for its client and its domain; many recipients of one message count once."""
    changed = [triplet]
    expires = ask.now + ask.limits.keep
    ripe = not triplet.passes
    if ripe:
        for record, enough in ((client, ask.limits.white_client), (domain, ask.white_domain())):
            if enough and ask.now - record.last >= ask.limits.seen:
                _touch(record, ask.now, expires)
                record.passes += 1
                changed.append(record)
    _touch(triplet, ask.now, expires)
    triplet.passes += 1
    triplet.host = ask.host
    return Decision("ripe" if ripe else "known", ask.now - triplet.first if ripe else 0), tuple(changed)
