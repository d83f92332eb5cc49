"""What a new list changes, counted; and the file from which the counting goes on after a break."""

import json
import os
from pathlib import Path
from typing import Any

from qmailfork.cli import words
from qmailfork.cli.replays.past import Entry
from qmailfork.cli.replays.pool import Answer
from qmailfork.logs.verdicts import ACCEPTED, DEFERRED, REFUSED
from qmailfork.report.counters import Row, Top
from qmailfork.report.tally import domain

LET_IN = "let in"
KINDS = (LET_IN, REFUSED, DEFERRED)  # in the order of a Row
MOST = 1000  # checkers that are told apart


class Stale(Exception):
    """A state that does not belong to this log or list; the text is one sentence."""


class Comparison:
    """Counts: recipients `done`, how many had the same verdict (`same`), which `changed` (a Row), by the checker that
    decides now, or decided then where it now lets in, and by the recipient's domain; those that could `not_asked`.

    `sample` entries of each kind are kept. `on` names the list that is asked.
    """

    def __init__(self, sample: int, on: str) -> None:
        self.done = self.same = self.not_asked = 0
        self.last = ""
        self.changed: Row = [0, 0, 0]
        self.checkers, self.domains = Top(MOST), Top()
        self.shadowed, self.failed = Top(MOST), Top(MOST)
        self.samples: dict[str, list[dict[str, str]]] = {kind: [] for kind in KINDS}
        self._sample = sample
        self._on = on

    def add(self, entry: Entry, answer: Answer) -> None:
        """Count one."""
        self.done += 1
        self.last = entry.digest()
        for top, names in ((self.shadowed, answer.shadowed), (self.failed, answer.failed)):
            for name in names:
                top.add(name, 1)
        if not answer.now:
            self.not_asked += 1
        elif answer.now == entry.was:
            self.same += 1
        else:
            self._change(entry, answer)

    def _change(self, entry: Entry, answer: Answer) -> None:
        kind = LET_IN if answer.now == ACCEPTED else answer.now
        column = KINDS.index(kind)
        self.changed[column] += 1
        self.checkers.add(answer.by or entry.by, column)
        self.domains.add(domain(entry.case.recipient), column)
        if len(self.samples[kind]) < self._sample:
            self.samples[kind].append(_shown(entry, answer))

    def save(self, path: str) -> None:
        """Write the state to `path`, whole or not at all. Raises OSError."""
        state = {name: getattr(self, name) for name in ("done", "same", "not_asked", "last", "changed", "samples")}
        state["tops"] = {name: _packed(getattr(self, name)) for name in ("checkers", "domains", "shadowed", "failed")}
        new = f"{path}.new"
        try:
            with open(new, "w", encoding="ascii") as file:
                json.dump({**state, "list": self._on}, file)
            os.replace(new, path)
        except OSError as fault:
            if os.path.exists(new):
                os.unlink(new)
            raise OSError(fault.errno, fault.strerror, path) from None

    def load(self, path: str) -> None:
        """Go on from the state at `path`, where there is one. Raises Stale, OSError."""
        if os.path.exists(path) and not os.path.isfile(path):
            raise Stale(f"{path}: no regular file")
        try:
            state = json.loads(Path(path).read_bytes())
            listed = state.pop("list")
            tops = {name: _unpacked(getattr(self, name), rows) for name, rows in state.pop("tops").items()}
            known = {name: type(getattr(self, name))(value) for name, value in state.items()}
        except FileNotFoundError:
            return
        except (ValueError, AttributeError, LookupError, TypeError):
            raise Stale(f"{path}: no state of qmailfork replay") from None
        if listed != self._on:
            raise Stale(f"{path}: of another list or log; remove it to begin anew")
        vars(self).update(known, **tops)


def _shown(entry: Entry, answer: Answer) -> dict[str, str]:
    case = entry.case
    fields = {"ip": case.ip, "helo": case.helo or b"", "sender": case.sender, "recipient": case.recipient,
              "before": entry.by, "by": answer.by}  # fmt: skip
    told = {name: words.shown(value) for name, value in fields.items()}
    return {**told, "was": entry.was, "now": answer.now, "reply": words.shown_reply(answer.reply)}


def _packed(top: Top) -> dict[str, Any]:
    rows = {name.decode("latin-1"): row for name, row in top.rows.items()}
    return {"rows": rows, "rest": top.rest, "lost": top.lost}


def _unpacked(top: Top, packed: dict[str, Any]) -> Top:
    top.rows = {name.encode("latin-1"): row for name, row in packed["rows"].items()}
    top.rest, top.lost = packed["rest"], packed["lost"]
    return top
