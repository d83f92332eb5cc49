"""Every event there is (programs/events.py) in every style: one line or none, whatever the values are made of."""

import inspect
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs import events, journal, jsonlines, queue
from qmailfork.programs.journal import Event
from qmailfork.programs.outcome import EXITED, EXPIRED, SIGNALLED, UNSTARTED, Outcome
from qmailfork.programs.verdict import Checker
from qmailfork.smtp import replies

CHECKS = [(Checker(b"/a\n"), Outcome(EXITED, 100, b"", 1.0))]
# each constructor with hostile octets wherever a value from outside goes
MADE: dict[str, Callable[[bytes], Event]] = {
    "config": events.config,
    "relay_list_unset": lambda octets: events.relay_list_unset(),
    "controls": events.controls,
    "unbegun": lambda octets: events.unbegun(octets.decode(errors="surrogateescape"), octets, octets),
    "connected": lambda octets: events.connected(octets, octets, octets, octets),
    "said": lambda octets: events.said(3, b"said: " + journal.clean(octets)),
    "sender_accepted": events.sender_accepted,
    "recipient_accepted": lambda octets: events.recipient_accepted(octets, False, CHECKS),
    "bad_sender": lambda octets: events.bad_sender(octets, octets, b"@"),
    "no_gateway": events.no_gateway,
    "too_big": lambda octets: events.too_big(octets, False),
    "looping": events.looping,
    "stray_newline": events.stray_newline,
    "queued": lambda octets: events.queued(octets, 1, 2, 3, replies.queued(1, 2)),
    "not_queued": lambda octets: events.not_queued(
        octets, octets, Outcome(EXITED, 82, octets), queue.refusal(Outcome(EXITED, 82, b"Dno" + octets), True)
    ),
    "no_queue": lambda octets: events.no_queue(octets, octets),
    "checker_failed": lambda octets: events.checker_failed(octets, octets, b"Extfork_Exec", CHECKS),
    "shadowed": lambda octets: events.shadowed(octets, octets, b"Extfork_1", b"554 no\r\n", CHECKS),
    "remark": lambda octets: events.remark(octets, octets, b"Extfork_Warn", octets),
    "held": lambda octets: events.held(b"rcpt", b"554 no\r\n"),
    "child_lost": lambda octets: events.child_lost(b"Gone", octets),
    "child_hidden": lambda octets: events.child_hidden([b"STARTTLS", b"CHUNKING"]),
    "child_blind": lambda octets: events.child_blind(),
    "child_refused": lambda octets: events.child_refused(b"RCPT", octets, b"554 " + octets + b"\r\n"),
    "tls_begun": lambda octets: events.tls_begun({b"SSL_CIPHER": octets, b"SSL_CLIENT_S_DN": octets}),
    "tls_missing": lambda octets: events.tls_missing(),
    "tls_unusable": events.tls_unusable,
    "tls_failed": events.tls_failed,
    "tls_injected": lambda octets: events.tls_injected(len(octets)),
    "authenticated": lambda octets: events.authenticated(b"cert", octets),
    "not_authenticated": lambda octets: events.not_authenticated(b"plain", octets),
    "auth_missing": lambda octets: events.auth_missing(),
    "too_many_failures": lambda octets: events.too_many_failures(len(octets)),
    "checkpassword_failed": lambda octets: events.checkpassword_failed(octets, b"Exec"),
    "child_took": lambda octets: events.child_took(octets, b"250 " + octets + b"\r\n"),
    "checker_refused": lambda octets: events.checker_refused(octets, octets, b"Extfork_1", b"554 no\r\n", CHECKS),
}
STYLES = {"spamcontrol": journal.spamcontrol, "qmail-ldap": journal.qmail_ldap(4), "json": jsonlines.line}
QMAIL_LDAP_ALONE = {"connected", "said", "sender_accepted", "queued", "child_took"}


def test_no_constructor_is_left_out() -> None:
    constructors = {
        name
        for name, made in inspect.getmembers(events, inspect.isfunction)
        if made.__module__ == events.__name__ and not name.startswith("_")
    }
    assert constructors == set(MADE)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("style", STYLES)
@given(octets=st.binary(max_size=300))
def test_an_event_is_one_line_or_none(name: str, style: str, octets: bytes) -> None:
    event = MADE[name](octets)
    event.protocol, event.ip, event.host, event.helo, event.sender = b"ESMTP", octets, octets, octets, octets
    line = STYLES[style](1, event)
    assert line.count(b"\n") == (1 if line else 0)
    assert line == b"" or line.endswith(b"\n")
    assert all(32 <= octet <= 126 for octet in line[:-1])


@pytest.mark.parametrize("name", MADE)
def test_what_spamcontrol_has_no_word_for_is_unsaid(name: str) -> None:
    assert (journal.spamcontrol(1, MADE[name](b"x")) == b"") == (name in QMAIL_LDAP_ALONE)


@pytest.mark.parametrize("name", MADE)
def test_a_condition_has_three_parts(name: str) -> None:
    action, kind, condition = MADE[name](b"x").condition.split(b"::")
    assert action in (b"Accept", b"Reject", b"Error", b"Info", b"Shadow")
    assert kind in (b"SNDR", b"ORIG", b"RCPT", b"DATA", b"TLS", b"AUTH")
    assert condition


@pytest.mark.parametrize(
    ("outcome", "condition"),
    [
        (Outcome(EXITED, 53), b"Reject::DATA::Queue_53"),
        (Outcome(SIGNALLED, 9), b"Reject::DATA::Queue_Signal"),
        (Outcome(UNSTARTED, 2), b"Reject::DATA::Queue_Exec"),
        (Outcome(EXPIRED, 0), b"Reject::DATA::Queue_Timeout"),
    ],
)
def test_how_the_queue_program_ended_is_in_the_condition(outcome: Outcome, condition: bytes) -> None:
    event = events.not_queued(b"x", b"/queue", outcome, queue.refusal(outcome, True))
    assert event.condition == condition
    assert (event.info == b"/queue") == (outcome.how == UNSTARTED)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (53, b"message temporarly not accepted because: qq write error or disk full (#4.3.0)"),
        (31, b"message permanently not accepted because: mail server permanently rejected message (#5.3.0)"),
    ],
)
def test_qmail_ldaps_words_for_what_was_not_queued(code: int, words: bytes) -> None:
    outcome = Outcome(EXITED, code)
    assert events.not_queued(b"x", b"/queue", outcome, queue.refusal(outcome, True)).words == words
