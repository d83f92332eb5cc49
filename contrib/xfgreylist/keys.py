"""From the envelope to the words of a key: the client's network, the addresses, the list entries to look for."""

from __future__ import annotations

import ipaddress

from xfgreylist.senders import HEX, steady

TYPE_CHECKING = False
if TYPE_CHECKING:
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

KINDS = ("client", "domain", "recipient", "sender")  # of list entries
NULL = "<>"  # the null sender, RFC 5321 section 4.5.5
LONGEST = 256  # characters of an address in a key; RFC 5321 section 4.5.3.1 allows 64+1+255
LABELS = 10  # of a domain, the last ones, are looked for in the lists
IPV6_STEP, IPV6_WIDEST, IPV4_WIDEST = 4, 16, 8  # prefix lengths that a list entry may have


def visible(text: str) -> bool:
    """Say whether text is ASCII without blanks and control characters."""
    return text.isascii() and text.isprintable() and " " not in text


def plain(text: str) -> str:
    """Return text as one word of visible ASCII, other octets as %XX: no sender writes a key or a log field of his own.

    What is too long keeps its beginning and ends in a digest.
    """
    if not visible(text) or "%" in text:
        octets = text.encode("utf-8", "surrogateescape")
        text = "".join(chr(octet) if 32 < octet < 127 and octet != 37 else f"%{octet:02X}" for octet in octets)
    if len(text) <= LONGEST:
        return text
    from hashlib import sha256  # noqa: PLC0415  # a real address never comes here

    return text[: LONGEST - 33] + "~" + sha256(text.encode()).hexdigest()[:32]


def split(address: str) -> tuple[str, str]:
    """Return local part and domain in lower case; without an @ the domain is empty."""
    local, at, domain = address.lower().rpartition("@")
    return (local, domain.rstrip(".")) if at else (domain, "")


def word(address: str) -> str:
    """Return the address as it stands in a list entry; empty: the null sender."""
    local, domain = split(address)
    return plain(f"{local}@{domain}" if domain else local) or NULL


def steady_word(address: str) -> str:
    """Return the address as it stands in a triplet: without its changing part."""
    local, domain = split(address)
    return word(f"{steady(local)}@{domain}" if domain else local)


def domain_word(address: str) -> str:
    """Return the address's domain as it stands in a key; empty where there is none."""
    return plain(split(address)[1])


def network(address: str, bits4: int, bits6: int) -> str:
    """Return the client's network as text, an IPv4-mapped IPv6 address being IPv4. Raises ValueError."""
    host = parse(address)
    return str(ipaddress.ip_network((host, bits4 if host.version == 4 else bits6), strict=False))


def parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IP address that text spells, without a zone. Raises ValueError."""
    host = ipaddress.ip_address(address.partition("%")[0])
    return getattr(host, "ipv4_mapped", None) or host


def host(address: str, bits6: int) -> str:
    """Return what one host is known by: its IPv4 address, or its IPv6 network (a host changes its IPv6 address)."""
    parsed = parse(address)
    return str(parsed) if parsed.version == 4 else network(address, 32, bits6)


def candidates(address: str, sender: str, recipient: str) -> list[str]:
    """Return the list entries that would apply, the one that decides first.

    Recipient before sender before client before domain; in each the narrower before the wider.
    """
    found = ["recipient:" + word(recipient)]
    found += [f"recipient:@{parent}" for parent in parents(domain_word(recipient))]
    found.append("sender:" + word(sender))
    found += [f"client:{wider}" for wider in networks(address)]
    found += [f"domain:{parent}" for parent in parents(domain_word(sender))]
    return found


def parents(domain: str) -> list[str]:
    """Return the domain and the domains above it, narrow to wide."""
    labels = domain.split(".")[-LABELS:] if domain else []
    return [".".join(labels[start:]) for start in range(len(labels))]


def networks(address: str) -> list[str]:
    """Return the networks around the address that may be list entries, narrow to wide. Raises ValueError."""
    parsed = parse(address)
    number, size = int(parsed), parsed.max_prefixlen
    make = ipaddress.IPv4Address if size == 32 else ipaddress.IPv6Address
    widest, step = (IPV4_WIDEST, 1) if size == 32 else (IPV6_WIDEST, IPV6_STEP)
    return [f"{make(number >> size - bits << size - bits)}/{bits}" for bits in range(size, widest - 1, -step)]


def entries(kind: str, value: str) -> list[str]:
    """Return the list entries for what a person wrote, or copied from the log. Raises ValueError with a line for them.

    An IPv6 network whose length is no multiple of 4 becomes several that are.
    """
    if kind == "client":
        return [f"client:{part}" for part in _client_entries(value)]
    value = _listed(value)
    value = value.rstrip(".") if "@" in value else value.strip(".")
    if not value or len(value) > LONGEST or (kind == "domain" and "@" in value):
        raise ValueError(f"{plain(value)!r} is no {kind}")
    if kind == "sender" and value != NULL and "@" not in value.strip("@"):
        raise ValueError(f"{value!r} is no sender's address (a domain is listed as domain)")
    if kind == "recipient" and "@" not in value:
        value = "@" + value
    return [f"{kind}:{value}"]


def _listed(value: str) -> str:
    """Return value as it stands in a key; one copied from the log has its %XX already."""
    head, *rest = value.lower().split("%")
    if visible(value) and all(len(part) > 1 and HEX.issuperset(part[:2]) for part in rest):
        return "%".join([head, *(part[:2].upper() + part[2:] for part in rest)])
    return plain(value.lower())


def _client_entries(value: str) -> list[Network]:
    try:
        whole = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(f"{plain(value)!r} is neither an address nor a network") from None
    widest, step = (IPV4_WIDEST, 1) if whole.version == 4 else (IPV6_WIDEST, IPV6_STEP)
    if whole.prefixlen < widest:
        raise ValueError(f"{value!r} is too wide, /{widest} is the widest network")
    return list(whole.subnets(new_prefix=-(-whole.prefixlen // step) * step))
