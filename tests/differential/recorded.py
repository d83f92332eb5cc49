"""What the C qmail-smtpd made of a fixed sample of streams: recorded.json, written by record.py."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.differential.outcome import Outcome

FILE = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class Recorded:
    """One stream at one site; `difference` names the deliberate difference that it meets first, if it meets one."""

    number: int
    site: str
    stream: bytes
    outcome: Outcome
    difference: str

    @property
    def name(self) -> str:
        return f"{self.number:03}-{self.site}" + self.difference.replace(" ", "_")


def load() -> list[Recorded]:
    """The whole sample."""
    return [
        Recorded(number, site, stream.encode("latin-1"), Outcome.from_json(outcome), difference)
        for number, (site, stream, outcome, difference) in enumerate(json.loads(FILE.read_text("utf-8")))
    ]


def save(sample: list[Recorded]) -> None:
    """Writes the sample, one line for each stream."""
    lines = [
        json.dumps([entry.site, entry.stream.decode("latin-1"), entry.outcome.to_json(), entry.difference])
        for entry in sample
    ]
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
