"""What a load balancer, or who pretends to be one, says before the client does: PROXY headers and what comes close."""

from collections.abc import Iterator
from ipaddress import ip_address
from random import Random
from struct import pack

from qmailfork.system import proxyheader
from qmailfork.system.proxyheader import Malformed, Told

LINES = (
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4000 25", b"PROXY TCP6 2001:db8::7 2001:db8::1 65535 25", b"PROXY UNKNOWN",
    b"PROXY UNKNOWN x", b"PROXY TCP4 203.0.113.7 192.0.2.1 4000 65536", b"PROXY TCP4 203.0.113.7 192.0.2.1 +1 025",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 2", b"PROXY TCP4  203.0.113.7 192.0.2.1 1 2", b"PROXY TCP4 2001:db8::7 ::1 1 2",
    b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2", b"PROXY ", b"PROXY UNKNOWN " + b"x" * 91, b"PROXY UNKNOWN " + b"x" * 92,
)  # fmt: skip
LINE_ENDS = (b"\r\n",) * 9 + (b"\n", b"\r", b"")
COMMANDS = (0x21,) * 9 + (0x20, 0x22, 0x11)
FAMILIES = {0x11: 12, 0x21: 36, 0x00: 0, 0x31: 216, 0x12: 12, 0x22: 36}  # octets of the addresses
SUBENTRIES = (0x21, 0x22, 0x23, 0x24, 0x25)
VALUES = (b"TLSv1.3", b"mx@example.net", b"", b"\0", b"a\r\nb", b"\xff'", b"x" * 300)


def header(chance: Random) -> bytes:
    """A header, mostly a good one."""
    said = _binary(chance) if chance.random() < 0.6 else chance.choice(LINES) + chance.choice(LINE_ENDS)
    if chance.random() < 0.3:
        at = chance.randint(0, len(said))
        said = said[:at] + chance.randbytes(chance.randint(0, 2)) + said[at + chance.randint(0, 2) :]
    return said


def _binary(chance: Random) -> bytes:
    family = chance.choice((0x11, 0x21, 0x11, 0x21, *FAMILIES))
    block = chance.randbytes(FAMILIES[family]) + _entries(chance)
    length = len(block) if chance.random() < 0.9 else chance.choice((0, 4080, 4081, 65535))
    return proxyheader.SIGNATURE + pack("!BBH", chance.choice(COMMANDS), family, length) + block


def _entries(chance: Random) -> bytes:
    said = b""
    for _ in range(chance.choice((0, 0, 1, 2))):
        inner = b"".join(_entry(chance, chance.choice(SUBENTRIES), chance.choice(VALUES)) for _ in range(3))
        flags = pack("!BI", chance.choice((0, 1, 1, 1, 3, 5, 7, 255)), chance.choice((0, 0, 1)))
        said += _entry(chance, chance.choice((0x20, 0x20, 0x01, 0x05)), flags + inner)
    return said


def _entry(chance: Random, kind: int, value: bytes) -> bytes:
    return pack("!BH", kind, len(value) + (chance.random() < 0.03)) + value


def take(pieces: list[bytes]) -> tuple[Told | str, list[bytes]]:
    """What is made of the header that comes first in these pieces, and the pieces behind it.

    AssertionError where more of it is waited for than the longest header has.
    """
    seen, behind = b"", iter(pieces)
    for piece in behind:
        seen += piece
        try:
            whole = proxyheader.extent(seen)
            if whole is not None and whole <= len(seen):
                told = proxyheader.parse(seen[:whole])
                return told, list(filter(None, (seen[whole:], *behind)))
        except Malformed as fault:
            return str(fault), []
        assert len(seen) < proxyheader.LONGEST, "it waits without end"
    return "connection closed", []


def facts(told: Told) -> Iterator[tuple[bytes, bytes]]:
    """The variables that a session has of it. AssertionError where one of them cannot be."""
    if told.client and told.server:
        for end, name in ((told.client, b"TCPREMOTE"), (told.server, b"TCPLOCAL")):
            assert str(ip_address(end[0])) == end[0]
            assert 0 <= end[1] < 65536
            yield name + b"IP", end[0].encode()
            yield name + b"PORT", b"%d" % end[1]
    for name, value in told.facts.items():
        assert b"\0" not in value, value
        yield name, value
