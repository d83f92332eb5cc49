"""Every event of spamcontrol's switches (programs/refusals.py) is one line in every style, in spamcontrol's form."""

import inspect
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs import journal, jsonlines, refusals
from qmailfork.programs.journal import Event
from qmailfork.smtp import replies

MADE: dict[str, tuple[Callable[[bytes], Event], bytes, bytes]] = {
    "early_talker": (lambda octets: refusals.early_talker(), b"Reject::SNDR::Early_Talker", b"554"),
    "bad_parameter": (
        lambda octets: refusals.bad_parameter(octets, octets, replies.ASCII_ONLY),
        b"Reject::RCPT::Bad_Parameter",
        b"553",
    ),
    "bad_name": (lambda octets: refusals.bad_name(octets, b"0"), b"Reject::SNDR::Bad_Helo", b"550"),
    "unknown_name": (lambda octets: refusals.unknown_name(octets, b"="), b"Reject::SNDR::DNS_Helo", b"550"),
    "name_later": (lambda octets: refusals.name_later(octets, b"A"), b"Reject::SNDR::DNS_Helo_Temp", b"451"),
    "no_such_sender": (refusals.no_such_sender, b"Reject::ORIG::DNS_MF", b"553"),
    "sender_later": (refusals.sender_later, b"Reject::ORIG::DNS_MF_Temp", b"451"),
    "mailbox_later": (lambda octets: refusals.mailbox_later(octets, octets), b"Error::RCPT::Recipients_Pam", b"451"),
    "no_mailbox": (lambda octets: refusals.no_mailbox(octets, False), b"Reject::RCPT::Failed_Rcptto", b"550"),
    "not_own_sender": (refusals.not_own_sender, b"Reject::ORIG::Invalid_Mailfrom", b"553"),
    "bad_recipient": (refusals.bad_recipient, b"Reject::RCPT::Bad_Rcptto", b"553"),
    "too_many": (refusals.too_many, b"Reject::RCPT::Toomany_Rcptto", b"452"),
}
STYLES = {"spamcontrol": journal.spamcontrol, "qmail-ldap": journal.qmail_ldap(4), "json": jsonlines.line}


def test_no_constructor_is_left_out() -> None:
    constructors = {
        name
        for name, made in inspect.getmembers(refusals, inspect.isfunction)
        if made.__module__ == refusals.__name__ and not name.startswith("_")
    }
    assert constructors == set(MADE)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("style", STYLES)
@given(octets=st.binary(max_size=300))
def test_an_event_is_one_line(name: str, style: str, octets: bytes) -> None:
    event = MADE[name][0](octets)
    event.protocol, event.ip, event.host, event.helo, event.sender = b"ESMTP", octets, octets, octets, octets
    line = STYLES[style](1, event)
    assert line.count(b"\n") == 1
    assert all(32 <= octet <= 126 for octet in line[:-1])


@pytest.mark.parametrize(("made", "condition", "code"), MADE.values(), ids=list(MADE))
def test_the_condition_is_spamcontrols(made: Callable[[bytes], Event], condition: bytes, code: bytes) -> None:
    event = made(b"x")
    assert (event.condition, event.reply[:3]) == (condition, code)
    assert replies.is_refusal(event.reply[:3])
