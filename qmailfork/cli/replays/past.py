"""The recipients of a log that checkers decided on, or would have: whom a new list can be asked about."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from qmailfork.cli.envelopes import Case
from qmailfork.logs.bounded import Recent
from qmailfork.logs.reader import Reader
from qmailfork.logs.verdicts import ACCEPTED, DEFERRED, REFUSED, Verdicts, decider
from qmailfork.programs.journal import Event

RELAYS = 100_000  # clients' addresses that are remembered
RELAY = b"Accept::SNDR::Relay_Client"


class Entry(NamedTuple):
    """A recipient: the `case`, the log's verdict on it (`was`), and the checker that decided (`by`, or empty)."""

    when: int
    case: Case
    was: str
    by: bytes

    def digest(self) -> str:
        """What tells this entry from every other one."""
        return hashlib.sha256(repr(tuple(self)).encode()).hexdigest()


class Past:
    """Reads the entries of a log. `own` counts recipients that the server's own rules refused, before checkers, and
    `unusable` those that the log does not tell well enough.

    `environment` says what exit codes meant, for lines of text.
    """

    def __init__(self, reader: Reader, environment: dict[bytes, bytes]) -> None:
        self.own = self.unusable = 0
        self._reader = reader
        self._verdicts = Verdicts(environment)
        self._relays: Recent[bytes, bool] = Recent(RELAYS)

    def __iter__(self) -> Iterator[Entry]:
        for when, _, event in self._reader:
            was = self._verdicts.of(event)
            if not event.recipient or was not in (ACCEPTED, REFUSED, DEFERRED):
                continue
            if event.condition == RELAY:
                self._relays.put(event.ip, True)
            by_checker = b"::Extfork_" in event.condition
            if was != ACCEPTED and not by_checker:
                self.own += 1
            elif b"\n" in event.recipient + event.sender + event.helo or b"\0" in event.ip + event.host + event.helo:
                self.unusable += 1
            else:
                yield Entry(when, self._case(event), was, decider(event) if by_checker else b"")

    def _case(self, event: Event) -> Case:
        """A line of a refusal does not say whether the client relays: its address tells, where it did before."""
        relays = event.condition == RELAY or (event.condition[:6] == b"Reject" and bool(self._relays.get(event.ip)))
        host = None if event.host in (b"", b"unknown") else event.host
        return Case("", event.sender, event.recipient, event.helo or None, event.ip, host, relays=relays)
