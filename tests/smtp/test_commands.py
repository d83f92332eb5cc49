"""Command lines (smtp/commands.py)."""

import pytest

from qmailfork.smtp import commands


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        (b"QUIT", b"quit", b""),
        (b"quit", b"quit", b""),
        (b"qUiT ", b"quit", b""),
        (b"HELO foo", b"helo", b"foo"),
        (b"HELO   foo bar ", b"helo", b"foo bar "),  # blanks before the argument only
        (b"HELO\tfoo", b"helo\tfoo", b""),  # a tab does not end the verb
        (b"HELO \tfoo", b"helo", b"\tfoo"),
        (b" HELO foo", b"", b"HELO foo"),
        (b"", b"", b""),
        (b"\r", b"\r", b""),
        (b"\xc3\x89HLO x", b"\xc3\x89hlo", b"x"),
    ],
)
def test_split(line: bytes, verb: bytes, argument: bytes) -> None:
    assert commands.split(line) == (verb, argument)


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        (b"", None),
        (b" SIZE=1000", b"1000"),
        (b" size=1000 BODY=8BITMIME", b"1000"),
        (b" BODY=7BIT\tSiZe=7", b"7"),
        (b" SIZE=", b""),
        (b" SIZE", None),
        (b" XSIZE=3 SIZES=4", None),
        (b" SIZE=1 SIZE=2", b"1"),
        (b" SIZE=1=2", b"1=2"),
        (b" SIZE = 3", None),
    ],
)
def test_parameter(parameters: bytes, value: bytes | None) -> None:
    assert commands.parameter(parameters, b"size") == value


def test_the_verbs_are_those_of_qmail_smtpd_starttls_bdat_and_auth() -> None:
    words = b"helo ehlo mail rcpt data rset noop vrfy help quit starttls bdat auth".split()
    assert list(commands.VERBS) == words


def test_a_line_may_be_as_long_as_rfc_4954_wants() -> None:
    assert commands.LONGEST >= 12288
