"""Where qmail-send(8) would send an address: here, and then to which local part, or elsewhere."""

from __future__ import annotations

from xfvchkuser.site import Recipient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from xfvchkuser.site import Site


def local_part(site: Site, recipient: Recipient) -> bytes | None:
    """Return the local part that qmail-lspawn(8) gets, None for an address that is delivered elsewhere."""
    recipient = percent_hack(site, recipient)
    listed = site.control("locals")
    locals_ = site.control("me") if listed is None else listed
    if recipient.domain in {line.lower() for line in locals_ or []}:
        return recipient.local
    prepend = virtual(site, recipient)
    return prepend + b"-" + recipient.local if prepend else None


def percent_hack(site: Site, recipient: Recipient) -> Recipient:
    """Return user@fqdn for user%fqdn@domain while domain is in control/percenthack."""
    hacked = {line.lower() for line in site.control("percenthack") or []}
    while recipient.domain in hacked and b"%" in recipient.local:
        local, _, domain = recipient.local.rpartition(b"%")
        recipient = Recipient(local, domain)
    return recipient


def virtual(site: Site, recipient: Recipient) -> bytes:
    """Return what control/virtualdomains prepends to the address, empty for nothing."""
    lines = site.control("virtualdomains") or []
    table = mapping(lines)
    for name in (recipient.address.lower(), *suffixes(recipient.domain)):
        if name in table:
            return table[name]
    return b""


def mapping(lines: list[bytes]) -> dict[bytes, bytes]:
    """Return lines `name:value` as a table, names in lower case; a line without a colon says nothing."""
    return {name.lower(): value for name, colon, value in (line.partition(b":") for line in lines) if colon}


def suffixes(domain: bytes) -> Iterator[bytes]:
    """Yield a.b.c, then .b.c, .c and the empty name: the order in which qmail tries its wildcards."""
    yield domain
    at = domain.find(b".", 1)
    while at > 0:
        yield domain[at:]
        at = domain.find(b".", at + 1)
    yield b""
