"""Who is it? The names of a client (DNS) and its user (RFC 1413), looked up as tcpserver does, without blocking."""

import asyncio

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
import dns.reversename

from qmailfork.system import names

DNS_SECONDS = 15.0
IDENT_PORT = 113
LONGEST_USER = 257
LONGEST_ANSWER = 1000  # RFC 1413: a reply line has at most 1000 characters
_OF_HOSTS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
_SPELT = [bytes((octet,)) if octet in _OF_HOSTS else b"\\%03o" % octet for octet in range(256)]


def spelt(name: dns.name.Name) -> bytes:
    """`name` as tcpserver spells it: in lower case, octets that are not for host names in octal behind a backslash."""
    return b".".join([b"".join([_SPELT[octet] for octet in label.lower()]) for label in name.labels[:-1]]) or b"."


async def name_of(ip: str) -> dns.name.Name | None:
    """The first name that DNS gives to `ip`; None where there is none or no answer."""
    try:
        answer = await dns.asyncresolver.resolve(
            dns.reversename.from_address(ip), "PTR", lifetime=DNS_SECONDS, raise_on_no_answer=True
        )
        name: dns.name.Name = answer[0].target
        return name
    except (dns.exception.DNSException, OSError, ValueError, UnicodeError):
        return None


async def has_address(name: dns.name.Name, ip: str) -> bool:
    """True where DNS gives `name` the address `ip` (tcpserver's -p)."""
    kind = "AAAA" if ":" in ip else "A"
    try:
        answer = await dns.asyncresolver.resolve(name, kind, lifetime=DNS_SECONDS)
        return any(record.address == ip for record in answer)
    except (dns.exception.DNSException, OSError, ValueError, UnicodeError):
        return False


async def records(name: bytes, kinds: tuple[str, ...], seconds: float) -> list[bytes] | None:
    """The answer to requests.Lookup."""
    try:
        wanted = names.target(name)
        for kind in kinds:
            try:
                return names.texts(await dns.asyncresolver.resolve(wanted, kind, lifetime=seconds / len(kinds)))
            except dns.resolver.NoAnswer:
                continue
    except names.FAULTS as fault:
        return names.failed(fault)
    return []


async def user_of(local: tuple[str, int], remote: tuple[str, int], seconds: float) -> bytes | None:
    """The user that `remote`'s ident server names for its connection to `local`, within `seconds`; None for none."""
    try:
        async with asyncio.timeout(seconds):
            return await _ask_ident(local, remote)
    except (OSError, TimeoutError, ValueError):
        return None


async def _ask_ident(local: tuple[str, int], remote: tuple[str, int]) -> bytes | None:
    reader, writer = await asyncio.open_connection(
        remote[0], IDENT_PORT, local_addr=(local[0], 0), limit=LONGEST_ANSWER
    )
    try:
        writer.write(b"%d , %d\r\n" % (remote[1], local[1]))
        line = await reader.readline()
    finally:
        writer.close()
    if not line.endswith(b"\n"):
        return None
    fields = line.translate(None, b" \t\r\n").split(b":", 3)  # as tcpserver reads it: an answer without a user is b""
    return fields[3][:LONGEST_USER].partition(b"\0")[0] if len(fields) > 3 else b""
