"""Clients' addresses and names: as spamdyke's files and tcprules write them, and as tcprules looks them up.

spamdyke (README_ip_file_format, README_rdns_file_format): 192.0.2.7, 192.0.2., 192.0.2.0/24, 192.0.2.0/255.255.255.0,
192.0.2.3-9; mail.example, .example for a domain and all below it.
"""

import ipaddress
import itertools
import re
from collections.abc import Collection

MOST = 4096  # addresses that one entry may stand for
NAME = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.IGNORECASE)
_ONE = re.compile(r"[0-9]{1,3}")


class Unclear(ValueError):
    """An entry that is no address, or stands for too many."""


def of_ip(entry: str) -> list[str]:
    """tcprules' addresses for one of spamdyke's. Raises Unclear."""
    octets = _masked(entry) if "/" in entry else [_range(part) for part in entry.rstrip(".").split(".")]
    while octets and octets[-1] == range(256):
        octets.pop()
    total = 1
    for each in octets:
        total *= len(each)
    if not octets or len(octets) > 4 or total > MOST:
        raise Unclear(entry)
    end = "" if len(octets) == 4 else "."
    return [".".join(map(str, numbers)) + end for numbers in itertools.product(*octets)]


def _range(part: str) -> range:
    low, _, high = part.partition("-")
    high = high or low
    if not (_ONE.fullmatch(low) and _ONE.fullmatch(high) and int(low) <= int(high) <= 255):
        raise Unclear(part)
    return range(int(low), int(high) + 1)


def _masked(entry: str) -> list[range]:
    """The octets of a network, each with what it may be."""
    try:
        network = ipaddress.IPv4Network(entry, strict=False)
    except ValueError:
        raise Unclear(entry) from None
    return list(map(_inclusive, network.network_address.packed, network.broadcast_address.packed))


def _inclusive(low: int, high: int) -> range:
    return range(low, high + 1)


def of_name(entry: str) -> list[str]:
    """tcprules' addresses for one of spamdyke's names. Raises Unclear."""
    if not NAME.fullmatch(entry):
        raise Unclear(entry)
    name = entry.lower().rstrip(".")
    return [f"={name[1:]}", f"={name}"] if name.startswith(".") else [f"={name}"]


def of_rule(address: str) -> list[str]:
    """Those that an address of tcprules' source stands for: one, or as many as its range has. Raises Unclear."""
    if "=" in address or "@" in address or "-" not in address:
        return [address]
    end = "." if address.endswith(".") else ""
    found = itertools.product(*map(_range, address.rstrip(".").split(".")))
    return [".".join(map(str, numbers)) + end for numbers in itertools.islice(found, MOST)]


def is_within(address: str, other: str) -> bool:
    """Whether every client that `address` stands for is one of `other`'s."""
    if "@" not in other:
        address = address.rpartition("@")[2]
    if other.startswith("="):
        return address.startswith("=") and (address == other or (_is_open(other) and address.endswith(other[1:])))
    return other in (address, "") or (other.endswith(".") and address.startswith(other))


def _is_open(name: str) -> bool:
    return name == "=" or name.startswith("=.")


def is_among(address: str, others: Collection[str]) -> bool:
    """Whether one of `others` has all of `address` within it."""
    return address in others or any(is_within(address, other) for other in others)


def nearest(address: str, others: Collection[str]) -> str | None:
    """The one of `others` that tcprules would find for `address`; None where there is none."""
    return max((other for other in others if is_within(address, other)), key=len, default=None)
