"""The marks of badmailfrom and badhelo (programs/addresses.py), and the rules of mailfromrules.cdb."""

import pytest

from qmailfork.programs import mailfromrules
from qmailfork.programs.addresses import BadNames, BadRecipients, BadSenders


@pytest.mark.parametrize(
    ("line", "sender", "host", "relays", "how"),
    [
        (b"a@x.example", b"A@X.example", b"unknown", False, b"@"),
        (b"@x.example", b"a@x.example", b"unknown", True, b"@"),
        (b"@x.example", b"a@sub.x.example", b"unknown", False, b""),
        (b"*@x.example", b"a@x.example", b"unknown", True, b"*"),
        (b"@x.example+", b"a@x.example", b"unknown", False, b"+"),
        (b"@x.example+", b"a@x.example", b"unknown", True, b""),
        (b"a@x.example+", b"a@x.example", b"unknown", False, b"+"),
        (b"@x.example-", b"a@x.example", b"unknown", False, b"-"),
        (b"@x.example-", b"a@x.example", b"mx.example", False, b""),
        (b"@x.example=", b"a@x.example", b"mx.example", False, b"="),
        (b"@x.example=", b"a@X.example", b"mx.x.Example", False, b""),
        (b"@x.example=", b"a@x.example", b"x.example", False, b""),
        (b"@x.example=", b"a@x.example", b"notx.example", False, b"="),
        (b"@x.example=", b"a@x.example", b"unknown", False, b""),
        (b"~x.example", b"a@other.example", b"mx.x.example", False, b"~"),
        (b"~x.example", b"a@other.example", b"x.example", False, b"~"),
        (b"~x.example", b"a@other.example", b"notx.example", False, b""),
        (b"~x.example", b"a@x.example", b"mx.x.example", False, b""),
        (b"~x.example", b"", b"mx.x.example", False, b""),  # a bounce is from nobody's domain
        (b"~x.example", b"a@other.example", b"unknown", False, b""),
        (b"*", b"a+@x.example", b"unknown", False, b"*"),
        (b"*", b"", b"unknown", False, b"*"),
        (b"joe+", b"joe+", b"unknown", False, b"@"),  # no mark: it is behind no address
    ],
)
def test_a_bad_sender(line: bytes, sender: bytes, host: bytes, relays: bool, how: bytes) -> None:
    assert BadSenders([line]).judge(sender, host, relays) == how


@pytest.mark.parametrize("line", [b"?good@x.example", b"?@x.example"])
def test_an_exempt_sender(line: bytes) -> None:
    senders = BadSenders([b"*", b"good@x.example", b"@x.example+", line])
    assert senders.judge(b"Good@x.example", b"unknown", False) == b""
    assert senders.exempt(b"good@x.example")
    assert not senders.exempt(b"bad@y.example")
    assert senders.judge(b"bad@y.example", b"unknown", False) == b"*"


def test_a_mark_is_no_pattern() -> None:
    assert BadSenders([b"?a@x.example", b"~b"]).judge(b"aa@x.example", b"unknown", False) == b""


@pytest.mark.parametrize(
    ("recipient", "bad"), [(b"joe@x.example", False), (b"jim@x.example", True), (b"a@y.example", True)]
)
def test_a_bad_recipient(recipient: bytes, bad: bool) -> None:
    assert BadRecipients([b"*@x.example", b"!joe@*", b"@Y.example"]).has(recipient) is bad


@pytest.mark.parametrize(
    ("name", "how"), [(b"Localhost", b"."), (b"a.local", b"*"), (b"mx.example", b""), (b"good.local", b"!")]
)
def test_a_bad_name(name: bytes, how: bytes) -> None:
    assert BadNames([b"localhost", b"*.local", b"good.local!"]).judge(name) == how


RULES = {
    b"joe": b"+joe@joedomain.net",
    b"jim@192.0.2.1": b"+@foodomain.net+jim@joedomain.net",
    b"jane@=mx.example": b"+jane@joedomain.net",
    b"192.0.2.": b"+@joedomain.net",
    b"=.heaven.mil": b"",
    b"=": b"+@anyhost.example",
}


@pytest.mark.parametrize(
    ("ip", "host", "info", "sender", "allowed"),
    [
        (b"192.0.2.1", b"unknown", b"Joe", b"joe@joedomain.net", True),
        (b"192.0.2.1", b"unknown", b"joe", b"jim@joedomain.net", False),
        (b"192.0.2.1", b"unknown", b"jim", b"any@foodomain.net", True),
        (b"192.0.2.1", b"mx.example", b"jane", b"jane@joedomain.net", True),
        (b"192.0.2.1", b"unknown", None, b"any@joedomain.net", True),
        (b"192.0.2.1", b"unknown", None, b"any@foodomain.net", False),
        (b"10.0.0.1", b"a.heaven.mil", None, b"whoever@else.example", True),
        (b"10.0.0.1", b"x.example", None, b"a@anyhost.example", True),
        (b"10.0.0.1", b"unknown", None, b"a@anyhost.example", False),
    ],
)
def test_rules_for_senders(ip: bytes, host: bytes, info: bytes | None, sender: bytes, allowed: bool) -> None:
    assert mailfromrules.allow(RULES.get, ip, host, info, sender) is allowed
