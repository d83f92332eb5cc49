"""Which senders and recipients spamcontrol's lists hold (its qmail-smtpd(8): badmailfrom, badrcptto, badhelo)."""

from qmailfork.programs.patterns import Patterns
from qmailfork.smtp import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNKNOWN = b"unknown"  # the name of a host that DNS has none for (tcp-environ(5))
MARKS = frozenset(b"+-=")  # behind an address
_NEVER: frozenset[bytes] = frozenset()


def _is_marked(line: bytes) -> bool:
    return line[:1] in (b"?", b"~") or (b"@" in line and line[-1] in MARKS)


def _own_names(sender: bytes) -> list[bytes]:
    """What a list may call `sender`, in lower case: itself, or all of its domain."""
    lowered = sender.lower()
    return [lowered, b"@" + address.domain(lowered)] if b"@" in lowered else [lowered]


def is_below(host: bytes, domain: bytes) -> bool:
    """Whether the name `host` is the `domain` or within it, both in lower case."""
    return host == domain or host.endswith(b"." + domain)


class BadSenders:
    """badmailfrom with patterns and marks.

    `?` before an address: nothing is wrong with it. Behind an address, `+`: not from who does not relay; `-`: not from
    a host without a name; `=`: not from a host whose name is not in its domain. `~` before a domain: hosts in it have
    no senders elsewhere.
    """

    __slots__ = ("_marked", "_patterns")

    def __init__(self, lines: "Sequence[bytes]") -> None:
        self._patterns = Patterns(line for line in lines if not _is_marked(line))
        self._marked: dict[bytes, set[bytes]] = {}
        for line in lines:
            if line[:1] in (b"?", b"~"):
                self._marked.setdefault(line[:1], set()).add(line[1:].lower())
            elif _is_marked(line):
                self._marked.setdefault(line[-1:], set()).add(line[:-1].lower())

    def _has(self, mark: bytes, names: list[bytes]) -> bool:
        return not self._marked.get(mark, _NEVER).isdisjoint(names)

    def exempt(self, sender: bytes) -> bool:
        """Whether `sender` stands behind a `?`."""
        return self._has(b"?", _own_names(sender))

    def judge(self, sender: bytes, host: bytes, relays: bool) -> bytes:
        """What is wrong with `sender` from a client called `host`: the mark, `@` or `*`; empty for nothing."""
        names, host = _own_names(sender), host.lower()
        if self._has(b"?", names):
            return b""
        if not relays and self._has(b"+", names):
            return b"+"
        if host == UNKNOWN:
            if self._has(b"-", names):
                return b"-"
        elif b"@" in sender and not is_below(host, address.domain(sender.lower())):
            if self._has(b"=", names):
                return b"="
            if self._has(b"~", [host[at:] for at in range(len(host)) if at == 0 or host[at - 1] == ord(".")]):
                return b"~"
        if any(map(self._patterns.names, names)):
            return b"@"
        return b"*" if self._patterns.catch(sender) else b""


class BadRecipients:
    """badrcptto: addresses, domains behind `@`, patterns."""

    __slots__ = ("_patterns",)

    def __init__(self, lines: "Iterable[bytes]") -> None:
        self._patterns = Patterns(lines)

    def has(self, recipient: bytes) -> bool:
        """Whether `recipient` is refused."""
        return any(map(self._patterns.names, _own_names(recipient))) or self._patterns.catch(recipient)


class BadNames:
    """badhelo: names, patterns; `name!` is good whatever else there is."""

    __slots__ = ("_patterns",)

    def __init__(self, lines: "Iterable[bytes]") -> None:
        self._patterns = Patterns(lines)

    def judge(self, name: bytes) -> bytes:
        """How a client's `name` for itself stands in it: `!` good, `.` itself, `*` by a pattern, empty not at all."""
        if self._patterns.names(name + b"!"):
            return b"!"
        if self._patterns.names(name):
            return b"."
        return b"*" if self._patterns.catch(name) else b""
