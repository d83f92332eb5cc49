"""JSON lines: one object for each decision, with its name, and every checker's entry, end, milliseconds and words."""

import json

from qmailfork.programs.decision import identity
from qmailfork.programs.journal import LONGEST, Event
from qmailfork.programs.outcome import ANSWERED, EXITED, SIGNALLED, UNSTARTED, Outcome
from qmailfork.programs.verdict import Checker
from qmailfork.smtp import address


def line(number: int, event: Event) -> bytes:
    """`event` as one line of JSON; empty for the steps between decisions."""
    if event.condition == b"Info::SNDR::Said":
        return b""
    record: dict[str, object] = {
        "event": _text(event.condition),
        **({"id": identity(event.session, event.number).decode()} if event.session else {}),
        "pid": number,
        "protocol": _text(event.protocol),
        "ip": _text(event.ip),
        "host": _text(event.host),
        "helo": _text(_cut(event.helo)),
        "sender": _text(event.sender),
        "recipient": _text(event.recipient),
    }
    if event.info is not None:
        record["info"] = _text(_cut(event.info))
    if event.reply:
        record["reply"] = _text(event.reply.rstrip())
    if event.checks:
        record["checkers"] = [_check(checker, outcome) for checker, outcome in event.checks]
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _check(checker: Checker, outcome: Outcome) -> dict[str, object]:
    record: dict[str, object] = {
        "program": _text(checker.program),
        **_end(outcome),
        "ms": round(outcome.milliseconds, 1),
    }
    if checker.entry not in (b"", checker.program):
        record["entry"] = _text(checker.entry)
    if checker.shadow:
        record["shadow"] = True
    if outcome.output and outcome.how != ANSWERED:
        record["said"] = _text(outcome.output[:LONGEST].strip())
    if outcome.cached:
        record["cached"] = True
    return record


def _end(outcome: Outcome) -> dict[str, object]:
    if outcome.how == UNSTARTED:
        return {"errno": outcome.code}
    if outcome.how == ANSWERED:
        return {ANSWERED: _text(outcome.output[:LONGEST].strip())}
    return {outcome.how: outcome.code if outcome.how in (EXITED, SIGNALLED) else True}


def _cut(value: bytes) -> bytes:
    """`value`, no longer than an address: what a client says of itself once comes with each of its recipients."""
    return value if len(value) <= address.LONGEST else value[: address.LONGEST] + b"..."


def _text(value: bytes) -> str:
    """Octets that are not UTF-8 as `\\xNN`: a line of JSON has no room for them."""
    return value.decode("utf-8", "backslashreplace")
