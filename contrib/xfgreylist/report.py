"""The report: what stands in the store, counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from xfgreylist import lines

if TYPE_CHECKING:
    from xfgreylist.policy import Limits, Record
    from xfgreylist.stores import Store

HOUR = 3600  # a waiting triplet that was tried once and not again for so long has probably been given up


class Report:
    """Sums over all living records and list entries."""

    def __init__(self, store: Store, limits: Limits, now: int) -> None:
        self.limits, self.now = limits, now
        self.states: Counter[str] = Counter(dict.fromkeys(lines.STATES, 0))
        self.states.update(entry.verdict for entry in store.lists())
        self.tries: Counter[str] = Counter()
        self.passes = self.given_up = 0
        self.busy: Counter[str] = Counter()
        for record in store.records():
            if record.expires > now:
                self._add(record)

    def _add(self, record: Record) -> None:
        state = lines.state(record, self.limits)
        self.states[state] += 1
        self.tries[state] += record.tries
        if state == "known":
            self.passes += record.passes
        elif state == "waiting":
            self.given_up += record.tries == 1 and self.now - record.last > HOUR
        if state in ("waiting", "blocked"):
            self.busy[lines.parts(record)["client"]] += record.tries

    def busiest(self, top: int) -> list[tuple[str, int]]:
        """Return the clients with the most tries that waited or were refused, and those tries."""
        return sorted(self.busy.items(), key=lambda pair: (-pair[1], pair[0]))[:top]

    def as_json(self, top: int) -> dict[str, Any]:
        """Return the report as an object for JSON."""
        return {
            **self.states,
            "waiting_tries": self.tries["waiting"],
            "waiting_given_up": self.given_up,
            "known_passes": self.passes,
            "white_passes": self.tries["white"],
            "blocked_tries": self.tries["blocked"],
            "busiest": [{"client": client, "tries": tries} for client, tries in self.busiest(top)],
        }

    def as_text(self, top: int) -> str:
        """Return the report for people, ending in a line end."""
        rows = [
            (self.states["waiting"], f"triplets waiting ({self.tries['waiting']} tries)"),
            (self.given_up, "of them tried once, and not again for an hour"),
            (self.states["known"], f"triplets known ({self.passes} passes)"),
            (self.states["white"], f"clients and domains whitelisted for themselves ({self.tries['white']} uses)"),
            (self.states["counting"], "clients and domains on their way there"),
            (self.states["blocked"], f"hosts blocked ({self.tries['blocked']} tries)"),
            (self.states["allow"], "entries in the white list"),
            (self.states["deny"], "entries in the black list"),
        ]
        rows += [(tries, f"tries deferred or refused of {client}") for client, tries in self.busiest(top)]
        return "".join(f"{count:>9} {what}\n" for count, what in rows)
