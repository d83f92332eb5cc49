r"""Lists with patterns: spamcontrol's badhelo, badmailfrom and badrcptto (qmail-smtpd(8) of spamcontrol, wildmat).

A pattern has `*` for any octets, `?` for one, `[a-z]` and `[^a-z]` for one of a class or of the others, and `\` before
an octet that stands for itself. Letters may be large or small. In a list the last pattern that matches decides, and
one behind `!` takes back what those before it have caught.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Step = frozenset[int] | None  # the octets that may stand here, None for any number of any

LONGEST = 1000  # octets of a text that are looked at: no address and no name has more
_ANY: "frozenset[int]" = frozenset(range(256))
_ONE = tuple(frozenset((octet,)) for octet in range(256))  # shared: a long list has thousands of them
_SPECIAL = frozenset(b"*?[\\")


def is_plain(line: bytes) -> bool:
    """Whether `line` matches itself alone."""
    return _SPECIAL.isdisjoint(line)


class Pattern:
    """A pattern; the time to match it grows with its length and the text's, however many stars are in it."""

    __slots__ = ("_steps",)

    def __init__(self, pattern: bytes) -> None:
        self._steps = list(_steps(pattern.lower()))

    def matches(self, text: bytes) -> bool:
        """Whether the whole `text`, in lower case, is as the pattern says."""
        steps = self._steps
        at = step = retry = 0
        star = -1
        while at < len(text):
            wanted = steps[step] if step < len(steps) else frozenset()
            if wanted is None:
                star, retry = step, at
            elif text[at] in wanted:
                at += 1
            elif star < 0:
                return False
            else:  # the last star takes one octet more
                retry += 1
                step, at = star, retry
            step += 1
        return all(wanted is None for wanted in steps[step:])


def _steps(pattern: bytes) -> "Iterable[Step]":
    at = 0
    while at < len(pattern):
        octet = pattern[at : at + 1]
        at += 1
        if octet == b"*":
            yield None
        elif octet == b"?":
            yield _ANY
        elif octet == b"[" and (end := pattern.find(b"]", at + 1 + pattern.startswith(b"^", at))) > 0:
            yield _one_of(pattern[at:end])
            at = end + 1
        else:
            escaped = octet == b"\\" and at < len(pattern)
            yield _ONE[pattern[at] if escaped else octet[0]]
            at += escaped


def _one_of(inside: bytes) -> "frozenset[int]":
    """The octets that a class stands for, by what is between its brackets."""
    others = inside.startswith(b"^")
    octets: set[int] = set()
    rest = inside[others:]
    while rest:
        if rest[1:2] == b"-" and len(rest) > 2:
            octets.update(range(rest[0], rest[2] + 1))
            rest = rest[3:]
        else:
            octets.add(rest[0])
            rest = rest[1:]
    return _ANY - octets if others else frozenset(octets)


class Patterns:
    """The `lines` of one list."""

    __slots__ = ("_last_first", "_plain")

    def __init__(self, lines: "Iterable[bytes]") -> None:
        lines = [line.lower() for line in lines]
        self._plain = frozenset(lines)
        self._last_first = [
            (not line.startswith(b"!"), Pattern(line.removeprefix(b"!")))
            for line in reversed(lines)
            if line.startswith(b"!") or not is_plain(line)
        ]

    def names(self, text: bytes) -> bool:
        """Whether a line is this very `text`."""
        return text.lower() in self._plain

    def catch(self, text: bytes) -> bool:
        """Whether a pattern matches `text`, and none behind it takes that back."""
        lowered = text[:LONGEST].lower()
        return next((caught for caught, pattern in self._last_first if pattern.matches(lowered)), False)
