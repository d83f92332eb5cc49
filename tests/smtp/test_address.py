"""Addresses in MAIL and RCPT, as qmail-smtpd's addrparse reads them (smtp/address.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.smtp import address

# argument of the command, address, what stands behind it
FORMS = [
    (b"FROM:<a@example.net>", b"a@example.net", b""),
    (b"FROM: <a@example.net>", b"a@example.net", b""),
    (b"<a@example.net>", b"a@example.net", b""),
    (b"whatever <a@example.net>", b"a@example.net", b""),
    (b"FROM:<>", b"", b""),
    (b"TO:<>", b"", b""),
    (b"FROM:<a@example.net> SIZE=10 BODY=8BITMIME", b"a@example.net", b"SIZE=10 BODY=8BITMIME"),
    (b"FROM:<a@example.net", b"a@example.net", b""),  # a missing > does no harm
    (b"FROM:<a@example.net><b@example.net>", b"a@example.net", b""),
    (b"FROM:a@example.net", b"a@example.net", b""),
    (b"FROM:   a@example.net SIZE=10", b"a@example.net", b"SIZE=10"),
    (b"FROM:", b"", b""),
    (b"FROM:<a@example.net>SIZE=10", b"a@example.net", b""),  # no blank before it: no parameter
    (b"FROM:<a@example.net>x SIZE=10", b"a@example.net", b"SIZE=10"),
    (b"FROM:<a@example.net>\tSIZE=10", b"a@example.net", b""),
    (b"FROM:\ta@example.net", b"\ta@example.net", b""),  # a tab is no blank here
    (b"FROM:< a@example.net >", b" a@example.net ", b""),
    (b"FROM:<@relay.example:a@example.net>", b"a@example.net", b""),
    (b"FROM:<@one.example,@two.example:a@example.net>", b"a@example.net", b""),
    (b"FROM:@relay.example:a@example.net", b"a@example.net", b""),
    (b'FROM:<"a b"@example.net>', b"a b@example.net", b""),
    (b'FROM:<"a>b"@example.net>', b"a>b@example.net", b""),
    (b'FROM:<"a@b"@example.net>', b"a@b@example.net", b""),
    (rb"FROM:<a\ b@example.net>", b"a b@example.net", b""),
    (rb"FROM:<a\>b@example.net>", b"a>b@example.net", b""),
    (rb"FROM:<a\"b@example.net>", b'a"b@example.net', b""),
    (rb"FROM:<a\\b@example.net>", rb"a\b@example.net", b""),
    (rb'FROM:<"a\"b"@example.net>', b'a"b@example.net', b""),
    (b"FROM:<a@example.net\\", b"a@example.net", b""),  # nothing left to take literally
    (b'FROM:<"a@example.net> SIZE=1', b"a@example.net> SIZE=1", b""),  # an open quote swallows the rest
    (b"FROM:<\xe9\xff@example.net>", b"\xe9\xff@example.net", b""),
    (b"FROM:a\\ b@example.net X", b"a b@example.net", b"X"),
    (b"TO:<joe>", b"joe", b""),
]


@pytest.mark.parametrize(("argument", "expected", "behind"), FORMS, ids=[form[0].decode("latin-1") for form in FORMS])
def test_parse(argument: bytes, expected: bytes, behind: bytes) -> None:
    assert address.parse(argument) == (expected, behind)


@pytest.mark.parametrize("argument", [b"", b"joe@joedomain.net", b"TO joe@joedomain.net", b">", b"FROM a b"])
def test_an_argument_with_neither_bracket_nor_colon_is_refused(argument: bytes) -> None:
    with pytest.raises(address.SyntaxFault):
        address.parse(argument)


@pytest.mark.parametrize("argument", [b"FROM:<@bad.example>", b"FROM:@bad.example", b"<@", b"FROM:<@a,@b>"])
def test_a_source_route_without_colon_is_refused(argument: bytes) -> None:
    with pytest.raises(address.SyntaxFault):
        address.parse(argument)


def quoted(local: bytes) -> bytes:
    return b"".join(b"\\" + bytes([octet]) for octet in local)


@given(st.binary(), st.binary(max_size=9).filter(lambda rest: b'"' not in rest and b"\\" not in rest))
def test_what_is_quoted_octet_by_octet_comes_out_as_it_was(text: bytes, rest: bytes) -> None:
    assert address.parse(b"TO:<" + quoted(text) + b"> " + rest) == (text, rest)


@given(st.binary().filter(lambda text: not set(text) & set(b'"\\>') and not text.startswith(b"@")))
def test_both_ways_of_reading_agree_where_nothing_is_quoted(text: bytes) -> None:
    plain, rest = address.unquote(text + b">x", b">")
    slow, slow_rest = address.unquote(b'""' + text + b">x", b">")
    assert (plain, rest) == (slow, slow_rest) == (text, b"x")


@pytest.mark.parametrize(
    ("given_address", "expected"),
    [(b"a@b.example", b"b.example"), (b"a@b@c.example", b"c.example"), (b"joe", b""), (b"", b""), (b"joe@", b"")],
)
def test_domain_is_what_stands_behind_the_last_at(given_address: bytes, expected: bytes) -> None:
    assert address.domain(given_address) == expected


@pytest.mark.parametrize(
    ("given_address", "expected"),
    [
        (b"a@[127.0.0.1]", b"127.0.0.1"),
        (b"a@[127.000.0.001]", b"127.0.0.1"),
        (b"a@[0.0.0.0]", b"0.0.0.0"),
        (b"a@[255.255.255.255]", b"255.255.255.255"),
        (b"a@b@[10.0.0.1]", b"10.0.0.1"),
        (b"a@[127.0.0.1", b""),
        (b"a@127.0.0.1", b""),
        (b"a@[127.0.0.1].", b""),
        (b"a@[127.0.0]", b""),
        (b"a@[127.0.0.1.2]", b""),
        (b"a@[127.0.0.x]", b""),
        (b"a@[127.0.0.]", b""),
        (b"a@[127.0.0.-1]", b""),
        (b"a@[127.0.0. 1]", b""),
        (b"a@[]", b""),
        (b"[127.0.0.1]", b""),
        (b"a@joedomain.net", b""),
        ("a@[\N{ARABIC-INDIC DIGIT ONE}.0.0.1]".encode(), b""),
    ],
)
def test_literal(given_address: bytes, expected: bytes) -> None:
    assert address.literal(given_address) == expected


@pytest.mark.parametrize(
    "host", [b"[127.0.0.257]", b"[256.0.0.1]", b"[127.0.0.1000]", b"[127.0.0." + b"9" * 5000 + b"]"]
)
def test_an_octet_above_255_is_refused(host: bytes) -> None:
    with pytest.raises(address.SyntaxFault):
        address.literal(b"a@" + host)


@given(st.binary())
def test_any_octets_are_an_address_or_a_syntax_fault(argument: bytes) -> None:
    try:
        parsed, rest = address.parse(argument)
        address.literal(parsed)
    except address.SyntaxFault:
        return
    assert len(parsed) + len(rest) <= len(argument)
