"""Log lines (programs/journal.py): spamcontrol's and qmail-ldap's, octet by octet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs import events, journal
from qmailfork.programs.journal import Event


def at(event: Event, ip: bytes, host: bytes, helo: bytes, sender: bytes = b"") -> Event:
    """The event in a session."""
    event.protocol, event.ip, event.host, event.helo, event.sender = b"ESMTP", ip, host, helo, sender
    return event


def joe(event: Event) -> Event:
    return at(event, b"203.0.113.7", b"mx.example.net", b"mx.example.net", b"john@foodomain.net")


# spamcontrol's own lines, from what its code writes
SPAMCONTROL = [
    (
        4711,
        joe(events.recipient_accepted(b"joe@joedomain.net", False, [])),
        b"qmail-smtpd: pid 4711 Accept::RCPT::Rcpthosts_Rcptto P:ESMTP S:203.0.113.7:mx.example.net H:mx.example.net"
        b" F:john@foodomain.net T:joe@joedomain.net",
    ),
    (
        4711,
        at(events.no_gateway(b"b@elsewhere.org"), b"203.0.113.7", b"unknown", b"foo", b"a@example.net"),
        b"qmail-smtpd: pid 4711 Reject::SNDR::Invalid_Relay P:ESMTP S:203.0.113.7:unknown H:foo F:a@example.net"
        b" T:b@elsewhere.org",
    ),
    (
        4712,
        at(events.recipient_accepted(b"x@example.org", True, []), b"127.0.0.1", b"localhost", b"localhost",
           b"joe@joedomain.net"),
        b"qmail-smtpd: pid 4712 Accept::SNDR::Relay_Client P:ESMTP S:127.0.0.1:localhost H:localhost"
        b" F:joe@joedomain.net T:x@example.org",
    ),
    (
        4713,
        at(events.bad_sender(b"spam@bad.example", b"joe@joedomain.net", b"@"), b"203.0.113.7", b"unknown", b"foo",
           b"spam@bad.example"),
        b"qmail-smtpd: pid 4713 Reject::ORIG::Bad_Mailfrom P:ESMTP S:203.0.113.7:unknown H:foo F:spam@bad.example"
        b" T:joe@joedomain.net '@'",
    ),
    (
        4711,
        joe(events.checker_refused(b"joe@joedomain.net", b"/var/qmail/bin/prog0", b"Extfork_100", b"554 no\r\n", [])),
        b"qmail-smtpd: pid 4711 Reject::RCPT::Extfork_100 P:ESMTP S:203.0.113.7:mx.example.net H:mx.example.net"
        b" F:john@foodomain.net T:joe@joedomain.net '/var/qmail/bin/prog0'",
    ),
    (
        4711,
        joe(events.checker_failed(b"joe@joedomain.net", b"/a b", b"Extfork_Signal", [])),
        b"qmail-smtpd: pid 4711 Error::RCPT::Extfork_Signal P:ESMTP S:203.0.113.7:mx.example.net H:mx.example.net"
        b" F:john@foodomain.net T:joe@joedomain.net '/a?b'",
    ),
    (
        7,
        at(events.relay_list_unset(), b"127.0.0.1", b"localhost", b""),
        b"qmail-smtpd: pid 7 Info::SNDR::Extforkr_Unset P:ESMTP S:127.0.0.1:localhost H:",
    ),
    (
        7,
        at(events.config(b"SMTPEXTFORKFAIL=what ever"), b"127.0.0.1", b"localhost", b""),
        b"qmail-smtpd: pid 7 Error::SNDR::Extfork_Config P:ESMTP S:127.0.0.1:localhost H: 'SMTPEXTFORKFAIL=what?ever'",
    ),
    (
        7,
        at(events.too_big(b"", True), b"192.0.2.1", b"unknown", b"foo", b"a@example.net"),
        b"qmail-smtpd: pid 7 Reject::DATA::Invalid_Size P:ESMTP S:192.0.2.1:unknown H:foo F:a@example.net T:",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("number", "event", "line"), SPAMCONTROL, ids=[str(case[1].condition) for case in SPAMCONTROL])
def test_spamcontrol(number: int, event: Event, line: bytes) -> None:
    assert journal.spamcontrol(number, event) == line + b"\n"


LDAP = [
    (2, events.connected(b"203.0.113.7", b"mx.example.net", None, b"mail.joedomain.net"),
     b"connection from 203.0.113.7 (mx.example.net) to mail.joedomain.net"),
    (2, events.connected(b"203.0.113.7", b"mx.example.net", b"joe", b"mail.joedomain.net"),
     b"connection from 203.0.113.7 (mx.example.net, joe) to mail.joedomain.net"),
    (2, events.sender_accepted(b"john@foodomain.net"), b"mail from: john@foodomain.net"),
    (2, events.recipient_accepted(b"joe@joedomain.net", False, []), b"rcpt to: joe@joedomain.net"),
    (2, events.queued(b"joe@joedomain.net", 1732413099, 4713, 1234, b""),
     b"message queued: 1732413099 qp 4713 size 1234 bytes"),
    (3, events.no_gateway(b"b@elsewhere.org"), b"no mail relay for 'rcpt to': b@elsewhere.org"),
    (3, events.bad_sender(b"x@bad.example", b"joe@joedomain.net", b"@"), b"bad mailfrom: x@bad.example"),
    (3, events.too_big(b"", True), b"message denied because: 'SMTP SIZE' too big"),
    (3, events.too_big(b"x", False), b"datasize limit exceeded"),
    (3, events.looping(b"x"), b"too many hops, message is looping"),
    (1, events.stray_newline(b"x"), b"stray new line detected, closing connection"),
]  # fmt: skip


@pytest.mark.parametrize(("level", "event", "words"), LDAP, ids=[case[2].decode() for case in LDAP])
def test_qmail_ldap(level: int, event: Event, words: bytes) -> None:
    for loglevel in range(5):
        expected = b"qmail-smtpd 4711: " + words + b"\n" if level <= loglevel else b""
        assert journal.qmail_ldap(loglevel)(4711, event) == expected


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        (b"", b""),
        (b"joe@joedomain.net", b"joe@joedomain.net"),
        (b"a b", b"a?b"),
        (b"a\nqmail-smtpd: pid 1 Accept::RCPT::x", b"a?qmail-smtpd:?pid?1?Accept::RCPT::x"),
        (b"it's", b"it?s"),
        (b"\x00\x1f\x20\x7e\x7f\x80\xff", b"???~???"),
        (b"x" * 255, b"x" * 255),
        (b"x" * 256, b"x" * 255 + b"..."),
        (b"\n" * 16384, b"?" * 255 + b"..."),
    ],
)
def test_clean(value: bytes, cleaned: bytes) -> None:
    assert journal.clean(value) == cleaned


@given(st.binary(max_size=600))
def test_no_octet_gets_through_that_could_forge_a_field(value: bytes) -> None:
    cleaned = journal.clean(value)
    assert len(cleaned) <= 258
    assert all(33 <= octet <= 126 and octet != ord("'") for octet in cleaned)


HOSTILE = st.binary(max_size=300)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_value_forges_a_line_or_a_field(
    ip: bytes, host: bytes, helo: bytes, sender: bytes, recipient: bytes, program: bytes
) -> None:
    made = events.checker_refused(recipient, program, b"Extfork_100", b"554 no\r\n", [])
    line = journal.spamcontrol(1, at(made, ip, host, helo, sender))
    assert line.count(b"\n") == 1
    assert line.endswith(b"'\n")
    assert line.count(b"'") == 2
    fields = line.split(b" ")
    assert [field[:2] for field in fields[4:9]] == [b"P:", b"S:", b"H:", b"F:", b"T:"]
    assert len(fields) == 10
