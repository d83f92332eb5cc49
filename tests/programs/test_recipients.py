"""The lines of control/recipients (programs/recipients.py)."""

import pytest

from qmailfork.programs.recipients import Recipients, Rule, keys

LINES = (
    b"!free.example", b"@a.example:a.cdb", b"a.example:sub.cdb", b"*:all.cdb", b"rest.cdb", b"b.example|bin/ask it",
    b"!*",
)  # fmt: skip


@pytest.mark.parametrize(
    ("recipient", "asked"),
    [
        (b"x@free.example", [b"!", b"all.cdb"]),  # what stands behind `!` is never reached
        (b"x@sub.free.example", [b"all.cdb", b"rest.cdb", b"!*"]),
        (b"x@A.example", [b"a.cdb", b"sub.cdb", b"all.cdb"]),
        (b"x@b.a.example", [b"sub.cdb", b"all.cdb"]),
        (b"x@nota.example", [b"all.cdb", b"rest.cdb", b"!*"]),
        (b"x@b.example", [b"all.cdb", b"rest.cdb", b"bin/ask it"]),
        (b"x", [b"all.cdb", b"rest.cdb", b"!*"]),
        (b"a@b@a.example", [b"a.cdb", b"sub.cdb", b"all.cdb"]),
    ],
)
def test_who_is_asked(recipient: bytes, asked: list[bytes]) -> None:
    found = [rule.source or {"all": b"!", "passed": b"!*"}[rule.kind] for rule in Recipients(LINES).sources(recipient)]
    assert found == asked


@pytest.mark.parametrize(
    ("line", "domain", "kind", "source", "argv"),
    [
        (b"users/recipients.cdb", b"", "cdb", b"users/recipients.cdb", []),
        (b"A.example: a.cdb", b"a.example", "cdb", b"a.cdb", []),
        (b"@a.example|bin/ask host:port", b"@a.example", "program", b"bin/ask host:port", [b"bin/ask", b"host:port"]),
        (b"*:a|b.cdb", b"*", "cdb", b"a|b.cdb", []),
        (b"!A.example", b"a.example", "all", b"", []),
        (b"!*", b"*", "passed", b"", []),
        (b"x|", b"x", "program", b"", []),
    ],
)
def test_a_line(line: bytes, domain: bytes, kind: str, source: bytes, argv: list[bytes]) -> None:
    rule = Rule(line)
    assert (rule.domain, rule.kind, rule.source, rule.argv) == (domain, kind, source, argv)


@pytest.mark.parametrize(
    ("recipient", "found"),
    [
        (b"Joe@Joedomain.net", [b":joe@joedomain.net"]),
        (b"list-a-b@x", [b":list-a-b@x", b":list-@x"]),
        (b"joe", [b":joe@localhost"]),
        (b"-@x", [b":-@x", b":-@x"]),
        (b"", [b":@localhost"]),
    ],
)
def test_the_keys_of_a_recipient(recipient: bytes, found: list[bytes]) -> None:
    assert keys(recipient) == found
