"""Which records are about a client, a domain, a sender or a recipient?"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from xfgreylist import keys, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xfgreylist.policy import Record


def concerns(names: Sequence[str]) -> Callable[[Record], bool]:
    """Return a function that says whether a record is about one of names, which are list entries' names."""
    tests = [_TESTS[kind](value) for kind, _, value in (name.partition(":") for name in names)]
    return lambda record: any(test(lines.parts(record)) for test in tests)


def _about_client(value: str) -> Callable[[dict[str, str]], bool]:
    """A block is the host's own; a record of the network that a host is in goes with the host."""
    wanted = ipaddress.ip_network(value)

    def test(parts: dict[str, str]) -> bool:
        word = parts.get("blocked") or parts["client"]
        if word.startswith("spf:"):
            return False
        network = ipaddress.ip_network(word)
        return type(network) is type(wanted) and network.overlaps(wanted)

    return test


def _about_domain(value: str) -> Callable[[dict[str, str]], bool]:
    def test(parts: dict[str, str]) -> bool:
        words = [parts.get("domain", ""), parts.get("sender", "").rpartition("@")[2]]
        words += [parts["client"].removeprefix("spf:")] if parts["client"].startswith("spf:") else []
        return any(word == value or word.endswith("." + value) for word in words)

    return test


def _about_sender(value: str) -> Callable[[dict[str, str]], bool]:
    steady = value if value == keys.NULL else keys.steady_word(value)
    return lambda parts: parts.get("sender") in (value, steady)


def _about_recipient(value: str) -> Callable[[dict[str, str]], bool]:
    if value.startswith("@"):
        return lambda parts: parts.get("recipient", "").endswith((value, "." + value[1:]))
    steady = keys.steady_word(value)
    return lambda parts: parts.get("recipient") in (value, steady)


_TESTS = {
    "client": _about_client,
    "domain": _about_domain,
    "sender": _about_sender,
    "recipient": _about_recipient,
}
