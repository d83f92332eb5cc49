"""Comparing what two servers made of the same stream, the deliberate differences aside."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.differential.deliberate import DIFFERENCES, Difference, excuse
from tests.differential.outcome import Outcome, Said, dialogue, line_end
from tests.differential.sites import Site

REPEATED = re.compile(r"(\w|[ -~]{2,40}?\\r\\n)\1{8,}")
Run = Callable[[Site, bytes], Outcome]


@dataclass(frozen=True)
class Comparison:
    """`stream`: what was compared in the end; `without`: the differences that were met and taken out on the way."""

    stream: bytes
    theirs: Outcome
    ours: Outcome
    without: tuple[Difference, ...]

    @property
    def agree(self) -> bool:
        """Whether replies, exit status and what was queued are the same."""
        return self.ours.to_json() == self.theirs.to_json()

    def describe(self, site: Site) -> str:
        """Where and how the two part, for a human."""
        parting = first_parting(self.stream, self.theirs, self.ours)
        lines = [f"site {site.name}, stream {shortened(self.stream)}"]
        if parting is not None:
            theirs, ours = parting
            lines += [f"at {theirs.octets or ours.octets!r}:", f"  theirs {theirs.reply!r}", f"  ours   {ours.reply!r}"]
        lines += [f"status: theirs {self.theirs.status}, ours {self.ours.status}"]
        if self.theirs.queued != self.ours.queued:
            lines += [f"queued: theirs {self.theirs.queued!r}", f"        ours   {self.ours.queued!r}"]
        return "\n".join([*lines, *self.ours.log[-12:]])


def shortened(stream: bytes) -> str:
    """The stream for a human: what repeats itself is counted."""
    return REPEATED.sub(lambda found: f"{{{found[0].count(found[1])} times {found[1]}}}", repr(stream))


def first_parting(stream: bytes, theirs: Outcome, ours: Outcome) -> tuple[Said, Said] | None:
    """The first reply that differs, as both servers gave it; None where all are the same."""
    for one, other in zip(dialogue(stream, theirs.replies), dialogue(stream, ours.replies), strict=False):
        if one.reply != other.reply:
            return one, other
    longer = max(theirs.replies, ours.replies, key=len)
    count = min(len(theirs.replies), len(ours.replies))
    if count == len(longer):
        return None
    more = dialogue(stream, longer)[count]
    silence = Said(more.octets, more.start, b"")
    return (more, silence) if longer is theirs.replies else (silence, more)


def compare(
    site: Site, stream: bytes, theirs: Run, ours: Run, differences: tuple[Difference, ...] = DIFFERENCES
) -> Comparison:
    """Runs both; takes the commands out that are answered differently on purpose, until nothing is left of these."""
    without: list[Difference] = []
    while True:
        outcomes = theirs(site, stream), ours(site, stream)
        parting = first_parting(stream, *outcomes)
        excused = excuse(parting[1].octets, parting[1].reply, site, differences) if parting else None
        if parting is None or excused is None:
            return Comparison(stream, *outcomes, tuple(without))
        without.append(excused)
        stream = stream[: parting[1].start] + stream[line_end(stream, parting[1].start) :]
