"""The Received field (smtp/received.py), in received.c's form."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.smtp import received

MOMENT = (2026, 11, 24, 2, 22, 39)


def field(
    host: bytes = b"mx.example.net", helo: bytes | None = b"foo", info: bytes | None = None, ip: bytes = b"203.0.113.7"
) -> bytes:
    return received.field(host, helo, info, ip, b"mail.joedomain.net", b"SMTP", MOMENT)


def test_the_whole_field() -> None:
    assert field() == (
        b"Received: from mx.example.net (HELO foo) (203.0.113.7)\n"
        b"  by mail.joedomain.net with SMTP; 24 Nov 2026 02:22:39 -0000\n"
    )


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ({"helo": None}, b"from mx.example.net (203.0.113.7)"),
        ({"helo": b""}, b"from mx.example.net (HELO ) (203.0.113.7)"),
        ({"info": b"joe"}, b"from mx.example.net (HELO foo) (joe@203.0.113.7)"),
        ({"info": b""}, b"from mx.example.net (HELO foo) (@203.0.113.7)"),
        ({"host": b"", "helo": None}, b"from  (203.0.113.7)"),
        ({"host": b"unknown", "ip": b"unknown"}, b"from unknown (HELO foo) (unknown)"),
        ({"helo": b"a b\x00c\xff(d)_'\""}, b"from mx.example.net (HELO a?b?c??d????) (203.0.113.7)"),
        ({"helo": b"x\nX-Forged: y"}, b"from mx.example.net (HELO x?X-Forged:?y) (203.0.113.7)"),
    ],
)
def test_its_first_line(values: dict[str, bytes | None], first: bytes) -> None:
    assert field(**values).split(b"\n")[0] == b"Received: " + first


def test_what_may_stand_in_it() -> None:
    everything = bytes(range(256))
    kept = received.safe(everything).replace(b"?", b"")
    assert kept == bytes(o for o in everything if re.match(rb"[A-Za-z0-9.@%+/=:\[\]-]", bytes([o])))
    assert len(received.safe(everything)) == 256


@given(st.binary(), st.binary(), st.binary(), st.binary())
def test_no_octet_from_outside_makes_a_line(host: bytes, helo: bytes, info: bytes, ip: bytes) -> None:
    made = received.field(host, helo, info, ip, b"me", b"SMTP", MOMENT)
    assert made.count(b"\n") == 2
    assert made.split(b"\n")[1].startswith(b"  by me with SMTP; ")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (MOMENT, b"24 Nov 2026 02:22:39 -0000"),
        ((2027, 1, 1, 0, 0, 0), b"1 Jan 2027 00:00:00 -0000"),
        ((2024, 2, 29, 23, 59, 60), b"29 Feb 2024 23:59:60 -0000"),
        ((2026, 12, 9, 9, 9, 9, 2, 343, 0), b"9 Dec 2026 09:09:09 -0000"),  # a whole struct_time
    ],
)
def test_date(moment: tuple[int, ...], text: bytes) -> None:
    assert received.date(moment) == text


@pytest.mark.parametrize(
    ("spoken", "plain", "utf8"),
    [
        (b"ESMTP", b"SMTP", b"UTF8SMTP"),
        (b"ESMTPS", b"ESMTPS", b"UTF8SMTPS"),
        (b"ESMTPA", b"ESMTPA", b"UTF8SMTPA"),
        (b"ESMTPSAM", b"ESMTPSAM", b"UTF8SMTPSA"),
    ],
)
def test_protocol(spoken: bytes, plain: bytes, utf8: bytes) -> None:
    assert (received.protocol(spoken, False), received.protocol(spoken, True)) == (plain, utf8)
