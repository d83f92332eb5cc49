"""What DNS knows of a name, for those who ask one question at a time."""

from qmailfork.system import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

dns = library.load("dns.resolver")
_NEVER = (  # names that cannot be in DNS
    dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN, dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong,
    dns.name.BadEscape, dns.name.IDNAException, UnicodeError,
)  # fmt: skip
FAULTS = (dns.exception.DNSException, OSError, ValueError)  # a UnicodeError is a ValueError


def target(name: bytes) -> "Any":
    """The absolute `name` as the library has it. Raises one of FAULTS."""
    return dns.name.from_text(name.decode("utf-8"))


def texts(answer: "Iterable[Any]") -> list[bytes]:
    """What records say: the host of an MX, an address."""
    found = [record.exchange if hasattr(record, "exchange") else record for record in answer]
    return [record.to_text().encode() for record in found]


def failed(fault: Exception) -> list[bytes] | None:
    """What a fault of FAULTS tells of a name: that nothing is there, or (None) nothing for the moment."""
    return [] if isinstance(fault, _NEVER) else None


def look_up(name: bytes, kinds: tuple[str, ...], seconds: float) -> list[bytes] | None:
    """The answer to requests.Lookup."""
    try:
        wanted = target(name)
        for kind in kinds:
            try:
                return texts(dns.resolver.resolve(wanted, kind, lifetime=seconds / len(kinds)))
            except dns.resolver.NoAnswer:
                continue
    except FAULTS as fault:
        return failed(fault)
    return []
