"""The header in which a load balancer tells who its client is (HAProxy's proxy-protocol.txt, versions 1 and 2).

The libraries there are take more than the specification gives (ports such as +25, an IPv6 zone of any octets, entries
that run over the header's end), and answer a short address block with a fault that they do not name.
"""

import ipaddress
import struct

from qmailfork.system.crc32c import crc32c

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_LINE = 107  # octets of version 1, CR LF with them (section 2.1)
LONGEST = 4096  # octets of version 2 that we take; senders keep to one segment
_WORD = b"PROXY "
_FIXED = struct.Struct("!12sBBH")
_ENTRY = struct.Struct("!BH")
_CHECKSUM, _NUMBER = 0x03, struct.Struct("!I")
_SSL, _SSL_FLAGS = 0x20, struct.Struct("!BI")
_HAS_TLS, _HAS_CERTIFICATE = 0x01, 0x06  # on this connection or in this session
_NAMES = {0x21: b"SSL_PROTOCOL", 0x22: b"SSL_CLIENT_S_DN_CN", 0x23: b"SSL_CIPHER"}
_ADDRESSES = {0x11: struct.Struct("!4s4sHH"), 0x21: struct.Struct("!16s16sHH")}  # TCP over IPv4, IPv6
_UNTOLD = (0x00, 0x31)  # unspecified, or a Unix socket: the addresses are the connection's own

Place = tuple[str, int]  # address and port


class Malformed(Exception):
    """This is no header; the text says why."""


class Told:
    """What a header tells: where its `client` is and which `server` it came to, both None where it is the balancer
    itself or unknown; `facts` are the variables about TLS that the balancer has ended, empty for plain.
    """

    __slots__ = ("client", "facts", "server")

    def __init__(self, client: Place | None, server: Place | None, facts: dict[bytes, bytes]) -> None:
        self.client = client
        self.server = server
        self.facts = facts


def extent(octets: bytes) -> int | None:
    """How many octets the header has that begins `octets`; None while that cannot be told yet. Raises Malformed."""
    if octets.startswith(SIGNATURE):
        if len(octets) < _FIXED.size:
            return None
        whole = _FIXED.size + int.from_bytes(octets[14:16], "big")
        if whole > LONGEST:
            raise Malformed(f"longer than {LONGEST} octets")
        return whole
    if octets.startswith(_WORD):
        end = octets.find(b"\n", 0, LONGEST_LINE)
        if end < 0 and len(octets) >= LONGEST_LINE:
            raise Malformed(f"no end within {LONGEST_LINE} octets")
        return end + 1 or None
    if SIGNATURE.startswith(octets) or _WORD.startswith(octets):
        return None
    raise Malformed("neither version 1 nor 2")


def parse(header: bytes) -> Told:
    """What a whole `header` tells. Raises Malformed."""
    return _binary(header) if header.startswith(SIGNATURE) else _line(header)


def _line(header: bytes) -> Told:
    if not header.endswith(b"\r\n"):
        raise Malformed("no CR LF at the end")
    family, *words = header[len(_WORD) : -2].split(b" ")
    if family == b"UNKNOWN":  # what follows it means nothing
        return Told(None, None, {})
    if family not in (b"TCP4", b"TCP6") or len(words) != 4:
        raise Malformed("not TCP4 or TCP6 with two addresses and two ports")
    kind = ipaddress.IPv4Address if family == b"TCP4" else ipaddress.IPv6Address
    source, destination = (_address(kind, word) for word in words[:2])
    return Told((source, _port(words[2])), (destination, _port(words[3])), {})


def _address(kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address], word: bytes) -> str:
    try:
        if b"%" in word:  # a zone, which is for one host alone
            raise ValueError
        return _plain(kind(word.decode("ascii")))
    except ValueError:
        raise Malformed("an address that is none") from None


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An IPv4 client of the balancer's IPv6 socket is an IPv4 client."""
    return str(getattr(address, "ipv4_mapped", None) or address)


def _port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or int(word) > 65535 or word != b"%d" % int(word):
        raise Malformed("a port that is none")
    return int(word)


def _binary(header: bytes) -> Told:
    _, command, family, _ = _FIXED.unpack_from(header)
    if command not in (0x20, 0x21):
        raise Malformed("neither LOCAL nor PROXY of version 2")
    if command == 0x20:  # the balancer's own connection: nothing else in it counts
        return Told(None, None, {})
    if family in _UNTOLD:
        return Told(None, None, {})
    addresses = _ADDRESSES.get(family)
    if addresses is None:
        raise Malformed("neither TCP over IPv4 nor over IPv6")
    if len(header) < _FIXED.size + addresses.size:
        raise Malformed("too short for its addresses")
    source, destination, port, own = addresses.unpack_from(header, _FIXED.size)
    start = _FIXED.size + addresses.size
    entries = _entries(header[start:])
    _check(header[:start], entries)
    client, server = _plain(ipaddress.ip_address(source)), _plain(ipaddress.ip_address(destination))
    return Told((client, port), (server, own), _tls(dict(entries).get(_SSL, b"")))


def _entries(block: bytes) -> list[tuple[int, bytes]]:
    """Type and value of each entry (section 2.2)."""
    found, at = [], 0
    while at < len(block):
        if len(block) - at < _ENTRY.size:
            raise Malformed("an entry that is cut off")
        kind, length = _ENTRY.unpack_from(block, at)
        at += _ENTRY.size + length
        if at > len(block):
            raise Malformed("an entry that is cut off")
        found.append((kind, block[at - length : at]))
    return found


def _check(before: bytes, entries: list[tuple[int, bytes]]) -> None:
    """PP2_TYPE_CRC32C (section 2.2.3): of the whole header, with zeros in its own place. Raises Malformed."""
    told = [value for kind, value in entries if kind == _CHECKSUM]
    if not told:
        return
    if len(told) > 1 or len(told[0]) != _NUMBER.size:
        raise Malformed("a checksum that is none")
    cleared = [(kind, bytes(_NUMBER.size) if kind == _CHECKSUM else value) for kind, value in entries]
    whole = before + b"".join([_ENTRY.pack(kind, len(value)) + value for kind, value in cleared])
    if _NUMBER.unpack(told[0])[0] != crc32c(whole):
        raise Malformed("a wrong checksum")


def _tls(entry: bytes) -> dict[bytes, bytes]:
    """The variables that PP2_TYPE_SSL stands for (section 2.2.6), named as sslserver(1) does."""
    if not entry:
        return {}
    if len(entry) < _SSL_FLAGS.size:
        raise Malformed("an entry that is cut off")
    flags, verified = _SSL_FLAGS.unpack_from(entry)
    if not flags & _HAS_TLS:
        return {}
    facts = {b"SSL_PROTOCOL": b"unknown"}
    for kind, value in _entries(entry[_SSL_FLAGS.size :]):
        if kind in _NAMES:
            facts[_NAMES[kind]] = value.replace(b"\0", b"?")
    if flags & _HAS_CERTIFICATE:
        facts[b"SSL_CLIENT_VERIFY"] = b"FAILED:%d" % verified if verified else b"SUCCESS"
    return facts
