"""The envelope as qmail-queue reads it, in whatever blocks it comes, and the fields kept of it."""

import email

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs.envelope import ADDRESS_LIMIT, Refused, addresses, delivered_to, return_path

octets = st.binary(max_size=40).map(lambda raw: raw.replace(b"\0", b""))


def cut(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def code_of(data, size=1000):
    with pytest.raises(Refused) as refused:
        list(addresses(cut(data, size)))
    return refused.value.code


@given(octets, st.lists(octets, max_size=5), st.integers(1, 60), octets)
def test_every_cut_of_an_envelope_gives_its_addresses(sender, recipients, size, ignored):
    written = b"F" + sender + b"\0" + b"".join(b"T" + one + b"\0" for one in recipients) + b"\0" + ignored
    assert list(addresses(cut(written, size))) == [sender, *recipients]


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_the_longest_address_is_taken_and_one_octet_more_is_11(size):
    longest = b"F" + b"a" * ADDRESS_LIMIT + b"\0T" + b"b" * ADDRESS_LIMIT + b"\0\0"
    assert [len(address) for address in addresses(cut(longest, size))] == [ADDRESS_LIMIT, ADDRESS_LIMIT]
    assert code_of(b"F" + b"a" * (ADDRESS_LIMIT + 1) + b"\0\0", size) == 11
    assert code_of(b"F\0T" + b"b" * (ADDRESS_LIMIT + 1), size) == 11  # said before its end comes, if it ever does


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("envelope", [b"Xa@b\0\0", b"Ta@b\0\0", b"\0", b"Fa\0Fb\0\0", b"Fa\0Tb\0c\0\0"])
def test_a_wrong_letter_is_91(envelope, size):
    assert code_of(envelope, size) == 91


def test_every_early_end_is_54():
    whole = b"Fjohn@foodomain.net\0Tjoe@joedomain.net\0\0"
    assert {code_of(whole[:length]) for length in range(len(whole))} == {54}


@pytest.mark.parametrize(
    ("sender", "field"),
    [
        (b"", b"<>"),
        (b"john@foodomain.net", b"<john@foodomain.net>"),
        (b"postmaster", b"<postmaster>"),
        (b"a b@x", b'<"a b"@x>'),
        (b"a>b@x", b'<"a>b"@x>'),
        (b'q"\\@x', b'<"q\\"\\\\"@x>'),
        (b"a@b@x", b'<"a@b"@x>'),
        (b".a@x", b'<".a"@x>'),
        (b"@x", b"<@x>"),
        (b"a@x>\r\nBcc: y", b"<a@x___Bcc: y>"),
        (b"j\xc3\xb6rg@x", b"<j\xc3\xb6rg@x>"),
    ],
)
def test_return_path_keeps_the_sender(sender, field):
    assert return_path(sender) == b"Return-Path: " + field + b"\n"


@given(octets, octets)
def test_no_address_makes_a_field_of_its_own(sender, recipient):
    header = return_path(sender) + delivered_to(recipient)
    assert email.message_from_bytes(header + b"\nbody\n").keys() == ["Return-Path", "Delivered-To"]
    assert header.count(b"\n") == 2
    assert b"\r" not in header
