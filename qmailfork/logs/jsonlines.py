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


class Line(Event):
    """An event as a line says it. What few ask for is taken apart when it is asked for."""

    __slots__ = ("written",)

    def __init__(self, get: Any) -> None:
        """From what `get` finds in an object; what is not there, is empty.

        Raises AttributeError for a value that is no text.
        """
        recipient = _octets(get("recipient", ""))
        info = get("info")
        self.condition = _octets(get("event"))
        self.shape = ENVELOPE if recipient else HOST
        self.info = None if info is None else _octets(info)
        self.level, self.words = 0, b""
        self.reply, self.recipient = _octets(get("reply", "")), recipient
        self.protocol, self.helo = _octets(get("protocol", "")), _octets(get("helo", ""))
        self.ip, self.host = _octets(get("ip", "")), _octets(get("host", ""))
        self.sender = _octets(get("sender", ""))
        self.session, self.number = b"", 0
        written = get("checkers")
        self.written = written if type(written) is list else ()

    @property
    def checks(self) -> "list[Check]":  # type: ignore[override]  # the core only ever reads it
        """What the checkers said."""
        return [_check(one) for one in self.written if type(one) is dict and type(one.get("program")) is str]

    def times(self) -> list[tuple[bytes, float | None]]:
        """The checkers that were asked, and the milliseconds that it took; None where they were not asked again."""
        found: list[tuple[bytes, float | None]] = []
        for one in self.written:
            if type(one) is dict and type(program := one.get("program")) is str:
                took: Any = one.get("ms")
                fits = type(took) in (float, int) and 0 <= took < LONGEST and one.get("cached") is not True
                found.append((_program(program), took if fits else None))
        return found


def read(line: bytes) -> tuple[int, Event] | None:
    """The process id and the event of a `line`; None for JSON of somebody else. Raises ValueError where it is none."""
    try:
        record = loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if type(record) is not dict or type(number := record.get("pid")) is not int:
        return None
    try:
        event = Line(record.get)
    except AttributeError:
        return None
    return (number, event) if event.condition.count(b"::") > 1 else None


def _octets(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a pair
        return text.encode("utf-8", "replace")


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
def _program(name: str) -> bytes:
    return _octets(name)


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
