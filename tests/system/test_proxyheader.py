"""PROXY headers by the octet: what the specification's examples mean, and what is none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.system.crc32c import crc32c
from qmailfork.system.proxyheader import LONGEST, SIGNATURE, Malformed, Told, extent, parse

ADDRESSES = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack("!HH", 43769, 25)
ADDRESSES6 = bytes.fromhex("20010db8" + "00" * 11 + "07" + "20010db8" + "00" * 11 + "01") + struct.pack(
    "!HH", 43769, 25
)


def v2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(block)) + block


def entry(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def tls(flags: int, verified: int, *entries: bytes) -> bytes:
    return entry(0x20, struct.pack("!BI", flags, verified) + b"".join(entries))


def summed(block: bytes, behind: bytes = b"") -> bytes:
    """A header with an entry that has its checksum."""
    cleared = v2(0x21, 0x11, block + entry(3, bytes(4)) + behind)
    at = 16 + len(block) + 3
    return cleared[:at] + struct.pack("!I", crc32c(cleared)) + cleared[at + 4 :]


IPV4 = ("203.0.113.7", 43769), ("192.0.2.1", 25)
IPV6 = ("2001:db8::7", 43769), ("2001:db8::1", 25)
WHOLE: list[tuple[bytes, tuple[object, object], dict[bytes, bytes]]] = [
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 43769 25\r\n", IPV4, {}),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 43769 25\r\n", IPV6, {}),
    (b"PROXY UNKNOWN\r\n", (None, None), {}),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 x\r\n", (None, None), {}),
    (v2(0x21, 0x11, ADDRESSES), IPV4, {}),
    (v2(0x21, 0x21, ADDRESSES6), IPV6, {}),
    (v2(0x20, 0x00, b""), (None, None), {}),
    (v2(0x20, 0x11, ADDRESSES), (None, None), {}),
    (v2(0x21, 0x00, b"whatever"), (None, None), {}),
    (v2(0x21, 0x31, bytes(216)), (None, None), {}),
    (v2(0x21, 0x11, ADDRESSES + entry(4, b"") + entry(5, b"id")), IPV4, {}),
    (summed(ADDRESSES), IPV4, {}),
    (summed(ADDRESSES + entry(4, b"\0\0"), entry(5, b"id")), IPV4, {}),
    (v2(0x20, 0x11, ADDRESSES + entry(3, b"none")), (None, None), {}),  # nothing of it counts
    (v2(0x21, 0x11, ADDRESSES + tls(0, 0, entry(0x21, b"TLSv1.3"))), IPV4, {}),
    (
        v2(0x21, 0x11, ADDRESSES + tls(1, 1, entry(0x21, b"TLSv1.3"), entry(0x23, b"TLS_AES_128_GCM_SHA256"))),
        IPV4,
        {b"SSL_PROTOCOL": b"TLSv1.3", b"SSL_CIPHER": b"TLS_AES_128_GCM_SHA256"},
    ),
    (
        v2(0x21, 0x11, ADDRESSES + tls(7, 0, entry(0x22, b"j\0e"))),
        IPV4,
        {b"SSL_PROTOCOL": b"unknown", b"SSL_CLIENT_S_DN_CN": b"j?e", b"SSL_CLIENT_VERIFY": b"SUCCESS"},
    ),
    (v2(0x21, 0x11, ADDRESSES + tls(3, 18)), IPV4, {b"SSL_PROTOCOL": b"unknown", b"SSL_CLIENT_VERIFY": b"FAILED:18"}),
]
NONE = [
    b"EHLO mx.example.net\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 43769 25\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 43769\r\n",
    b"PROXY TCP4 203.0.113.7  192.0.2.1 43769 25\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 +43769 25\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 43769 025\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 43769 65536\r\n",
    b"PROXY TCP4 203.0.113.256 192.0.2.1 43769 25\r\n",
    b"PROXY TCP4 2001:db8::7 192.0.2.1 43769 25\r\n",
    b"PROXY TCP6 fe80::1%'x ::1 43769 25\r\n",
    b"PROXY UDP4 203.0.113.7 192.0.2.1 43769 25\r\n",
    b"PROXY UNKNOWN" + b"x" * 107 + b"\r\n",
    b"proxy UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\r\n",
    v2(0x31, 0x11, ADDRESSES),
    v2(0x22, 0x11, ADDRESSES),
    v2(0x21, 0x12, ADDRESSES),
    v2(0x21, 0x41, ADDRESSES),
    v2(0x21, 0x11, ADDRESSES[:-1]),
    v2(0x21, 0x21, ADDRESSES),
    v2(0x21, 0x11, ADDRESSES + b"\x20\0"),
    v2(0x21, 0x11, ADDRESSES + b"\x20\0\x05\x01"),
    v2(0x21, 0x11, ADDRESSES + entry(0x20, b"\1\0")),
    v2(0x21, 0x11, ADDRESSES + tls(1, 0, b"\x21\0\x08TLSv1.3")),
    v2(0x21, 0x11, ADDRESSES + entry(3, b"")),
    v2(0x21, 0x11, ADDRESSES + entry(3, bytes(4))),
    v2(0x21, 0x11, ADDRESSES + entry(3, bytes(3))),
    summed(ADDRESSES)[:-1] + b"x",
    summed(ADDRESSES).replace(b"\xcb\x00\x71\x07", b"\xcb\x00\x71\x08"),
    summed(ADDRESSES, entry(3, bytes(4))),
    summed(ADDRESSES, entry(5, b"id"))[:-1] + b"e",
    SIGNATURE + b"\x21\x11" + struct.pack("!H", LONGEST),
]


def told(octets: bytes) -> Told | None:
    whole = extent(octets)
    return parse(octets[:whole]) if whole is not None and whole <= len(octets) else None


@pytest.mark.parametrize(("header", "places", "facts"), WHOLE)
def test_what_a_header_tells(header: bytes, places: tuple[object, object], facts: dict[bytes, bytes]) -> None:
    for end in range(len(header)):
        assert told(header[:end]) is None
    for behind in (b"", b"\n", b"EHLO x\r\n", header):
        assert extent(header + behind) == len(header)
    found = parse(header)
    assert ((found.client, found.server), found.facts) == (places, facts)


@pytest.mark.parametrize("octets", NONE)
def test_what_is_none(octets: bytes) -> None:
    with pytest.raises(Malformed):
        told(octets)


@given(st.sampled_from([header for header, _, _ in WHOLE]), st.data())
def test_damage_is_malformed_or_another_header(header: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(header) - 1))
    damaged = header[:at] + data.draw(st.binary(max_size=3)) + header[at + data.draw(st.integers(0, 3)) :]
    try:
        told(damaged)
    except Malformed:
        pass
