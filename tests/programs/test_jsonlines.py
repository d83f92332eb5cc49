"""JSON lines (programs/jsonlines.py): one valid object a line, with the checkers that led to it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs import events, jsonlines
from qmailfork.programs.outcome import EXITED, EXPIRED, SIGNALLED, UNSTARTED, Outcome
from qmailfork.programs.verdict import Checker


def test_a_refusal_in_full() -> None:
    checks = [
        (Checker(b"/bin/a"), Outcome(EXITED, 0, b"", 1.25)),
        (Checker(b"/bin/b"), Outcome(EXITED, 100, b"said", 20.04)),
    ]
    event = events.checker_refused(b"joe@joedomain.net", b"/bin/b", b"Extfork_100", b"554 no\r\n", checks)
    event.protocol, event.ip, event.host, event.helo = b"ESMTP", b"203.0.113.7", b"unknown", b"foo"
    event.sender = b"a@example.net"
    assert json.loads(jsonlines.line(4711, event)) == {
        "event": "Reject::RCPT::Extfork_100",
        "pid": 4711,
        "protocol": "ESMTP",
        "ip": "203.0.113.7",
        "host": "unknown",
        "helo": "foo",
        "sender": "a@example.net",
        "recipient": "joe@joedomain.net",
        "info": "/bin/b",
        "reply": "554 no",
        "checkers": [
            {"program": "/bin/a", "exit": 0, "ms": 1.2},
            {"program": "/bin/b", "exit": 100, "ms": 20.0, "said": "said"},
        ],
    }


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome(EXITED, 7), {"exit": 7}),
        (Outcome(SIGNALLED, 9), {"signal": 9}),
        (Outcome(EXPIRED, 0), {"timeout": True}),
        (Outcome(UNSTARTED, 2), {"errno": 2}),
    ],
)
def test_how_a_checker_ended(outcome: Outcome, told: dict[str, int]) -> None:
    event = events.recipient_accepted(b"joe@joedomain.net", False, [(Checker(b"/a"), outcome)])
    assert json.loads(jsonlines.line(1, event))["checkers"] == [{"program": "/a", **told, "ms": 0.0}]


def test_what_is_not_there_is_left_out() -> None:
    record = json.loads(jsonlines.line(1, events.relay_list_unset()))
    assert set(record) == {"event", "pid", "protocol", "ip", "host", "helo", "sender", "recipient"}


def test_a_reply_of_more_lines_is_one_value() -> None:
    event = events.checker_refused(b"joe@joedomain.net", b"/a", b"Extfork_100", b"554-one\r\n554 two\r\n", [])
    line = jsonlines.line(1, event)
    assert line.count(b"\n") == 1
    assert json.loads(line)["reply"] == "554-one\r\n554 two"


def test_steps_between_decisions_are_left_out() -> None:
    assert jsonlines.line(1, events.said(1, b"read error or connection closed")) == b""


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\xff\xfe", r"\xff\xfe"),
        ("jó".encode(), "jó"),
        (b'"\\\n\x00\x7f', '"\\\n\x00\x7f'),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),
    ],
)
def test_octets_of_every_kind(octets: bytes, text: str) -> None:
    line = jsonlines.line(1, events.recipient_accepted(octets, False, []))
    assert json.loads(line)["recipient"] == text


def test_a_client_cannot_fill_the_log_with_its_name() -> None:
    event = events.too_big(b"j" * 899, announced=False)
    event.helo, event.sender, event.info = b"\0" * 16000, b"a" * 899, b"p" * 16000
    record = json.loads(jsonlines.line(1, event))
    assert (record["helo"], record["info"]) == ("\0" * 899 + "...", "p" * 899 + "...")
    assert (record["sender"], record["recipient"]) == ("a" * 899, "j" * 899)


@given(st.binary(), st.binary(), st.binary())
def test_every_line_is_one_valid_object(sender: bytes, recipient: bytes, program: bytes) -> None:
    checker = Checker(b"/a")
    checker.program = checker.entry = program
    event = events.checker_failed(recipient, program, b"Extfork_Exec", [(checker, Outcome(UNSTARTED, 2, program))])
    event.sender = sender
    line = jsonlines.line(1, event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line[:-1].isascii()
    assert all(octet >= 32 for octet in line[:-1])
    assert isinstance(json.loads(line), dict)
