"""DSN's parameters (smtp/notification.py)."""

from collections.abc import Callable

import pytest

from qmailfork.smtp import commands, notification
from qmailfork.smtp.address import SyntaxFault

GOOD = [
    (notification.returned, b"RET=full", b"FULL"),
    (notification.returned, b"X=1", None),
    (notification.identifier, b"envid=QQ314159", b"QQ314159"),
    (notification.identifier, b"ENVID=a+2Bb+3D+20", b"a+2Bb+3D+20"),
    (notification.identifier, b"ENVID=" + b"x" * 100, b"x" * 100),
    (notification.occasions, b"NOTIFY=never", b"NEVER"),
    (notification.occasions, b"NOTIFY=SUCCESS,failure,Delay", b"SUCCESS,FAILURE,DELAY"),
    (notification.original, b"ORCPT=rfc822;Joe+2Bx@example.net", b"rfc822;Joe+2Bx@example.net"),
    (notification.original, b"ORCPT=utf-8;jos\\x{E9}@x", b"utf-8;jos\\x{E9}@x"),
    (notification.original, b"ORCPT=rfc822;" + b"x" * 493, b"rfc822;" + b"x" * 493),
]
BAD = [
    (notification.returned, b"RET=BODY"),
    (notification.returned, b"RET="),
    (notification.returned, b"RET"),
    (notification.identifier, b"ENVID=" + b"x" * 101),
    (notification.identifier, b"ENVID=+"),
    (notification.identifier, b"ENVID=+2"),
    (notification.identifier, b"ENVID=+2b"),
    (notification.identifier, b"ENVID=+0A"),
    (notification.identifier, b"ENVID=+7F"),
    (notification.identifier, b"ENVID=a=b"),
    (notification.identifier, b"ENVID=a\x1bb"),
    (notification.identifier, b"ENVID=\xc3\xa9"),
    (notification.occasions, b"NOTIFY=NEVER,SUCCESS"),
    (notification.occasions, b"NOTIFY=SUCCESS,"),
    (notification.occasions, b"NOTIFY=ALWAYS"),
    (notification.original, b"ORCPT=joe@example.net"),
    (notification.original, b"ORCPT=;joe"),
    (notification.original, b"ORCPT=rfc822;"),
    (notification.original, b"ORCPT=rfc_822;joe"),
    (notification.original, b"ORCPT=rfc822;" + b"x" * 494),
    (notification.original, b"ORCPT=utf-8;jos\xc3\xa9"),
]
Read = Callable[..., bytes | None]


def ask(read: Read, parameters: bytes) -> bytes | None:
    given = commands.parameters(parameters)
    return read(given, False) if read is notification.original else read(given)


@pytest.mark.parametrize(("read", "parameters", "value"), GOOD)
def test_good(read: Read, parameters: bytes, value: bytes | None) -> None:
    assert ask(read, parameters) == value


@pytest.mark.parametrize(("read", "parameters"), BAD)
def test_malformed(read: Read, parameters: bytes) -> None:
    with pytest.raises(SyntaxFault):
        ask(read, parameters)


def test_an_original_recipient_in_utf8() -> None:
    for given in (b"UTF-8;jos\xc3\xa9", b"utf-8;\xc3\x80"):
        assert notification.original({b"orcpt": given}, utf8=True) == given
    for value in (b"rfc822;jos\xc3\xa9", b"utf-8;jos\xe9", b"utf-8;jos\xc3\xa9\x01", b"utf-8;jos\xc3\xa9+"):
        with pytest.raises(SyntaxFault):
            notification.original({b"orcpt": value}, utf8=True)


def test_a_parameter_is_given_once() -> None:
    assert commands.parameters(b"a=1 B  c= a-b=x=y") == {b"a": b"1", b"b": None, b"c": b"", b"a-b": b"x=y"}
    with pytest.raises(SyntaxFault):
        commands.parameters(b"RET=FULL ret=FULL")
