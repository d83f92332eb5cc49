"""JSON lines, read back (programs/jsonlines.py)."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from qmailfork.programs.journal import ENVELOPE, HOST, Event
from qmailfork.programs.outcome import ANSWERED, BROKEN, EXITED, EXPIRED, SIGNALLED, UNSTARTED, Outcome
from qmailfork.programs.verdict import Checker

try:
    import orjson  # three times as fast
except ImportError:
    loads: Callable[[bytes], Any] = json.loads
else:
    loads = orjson.loads

if TYPE_CHECKING:
    from qmailfork.programs.journal import Check

START = b"{"
LONGEST = 1e9  # milliseconds; more is nonsense
_ENDS = ((SIGNALLED, SIGNALLED), ("errno", UNSTARTED), (ANSWERED, ANSWERED), (EXPIRED, EXPIRED))


def read(line: bytes) -> tuple[int, Event] | None:
    """The process id and the event of a `line`; None for JSON of somebody else. Raises ValueError where it is none."""
    try:
        record = loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if type(record) is not dict or type(number := record.get("pid")) is not int:
        return None
    try:
        event = _event(record.get)
    except AttributeError:  # a value that is no text
        return None
    if event.condition.count(b"::") < 2:
        return None
    checks = record.get("checkers")
    if type(checks) is list:
        event.checks = [_check(one) for one in checks if type(one) is dict and type(one.get("program")) is str]
    return number, event


def _event(get: Any) -> Event:
    """What is not there, is empty. Raises AttributeError for a value that is no text."""
    info = get("info")
    recipient = get("recipient", "").encode("utf-8", "replace")
    event = Event(
        get("event").encode("utf-8", "replace"),
        ENVELOPE if recipient else HOST,
        None if info is None else info.encode("utf-8", "replace"),
        0,
        b"",
        get("reply", "").encode("utf-8", "replace"),
        recipient,
    )
    event.protocol = get("protocol", "").encode("utf-8", "replace")
    event.ip = get("ip", "").encode("utf-8", "replace")
    event.host = get("host", "").encode("utf-8", "replace")
    event.helo = get("helo", "").encode("utf-8", "replace")
    event.sender = get("sender", "").encode("utf-8", "replace")
    return event


def _check(written: dict[str, Any]) -> "Check":
    took: Any = written.get("ms")
    code: Any = written.get(EXITED)
    how = EXITED
    if type(code) is not int:
        how, code = _end(written)
    fits = type(took) in (int, float) and 0 <= took < LONGEST
    outcome = Outcome(how, code, b"", took if fits else 0.0)
    outcome.cached = written.get("cached") is True
    return _checker(written["program"], written.get("shadow") is True), outcome


@lru_cache(maxsize=1000)
def _checker(program: str, shadow: bool) -> Checker:
    checker = Checker(b"?")
    checker.program, checker.shadow = program.encode("utf-8", "replace"), shadow
    return checker


def _end(written: dict[str, Any]) -> tuple[str, int]:
    for name, how in _ENDS:
        if name in written:
            return how, written[name] if type(written[name]) is int else 0
    return BROKEN, 0
