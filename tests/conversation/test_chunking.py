"""BDAT (conversation/chunking.py): however a message in chunks ends, it is queued whole or not at all."""

import pytest

from qmailfork.programs.outcome import EXITED, SIGNALLED, Outcome
from tests.conversation.scripted import MAIL, OK, RCPT, Arrival, Played, Script, play, replies, site

ENVELOPE = b"Fa@example.net\0Tjoe@joedomain.net\0\0"
FIRST = MAIL + RCPT + b"BDAT 3\r\na\r\n"


def played(*arrivals: Arrival, script: Script | None = None, databytes: int = 0) -> Played:
    return play(
        list(arrivals), site(extensions=frozenset([b"chunking"]), databytes=databytes), script=script or Script()
    )


def test_it_is_queued_with_its_envelope() -> None:
    went = played(FIRST + b"BDAT 3 LAST\r\nb\r\nQUIT\r\n")
    ((message, envelope),) = went.queued
    assert message.endswith(b"\na\nb\n")
    assert message.startswith(b"Received: ")
    assert message.count(b"Received: ") == 1
    assert envelope == ENVELOPE
    assert went.abandoned == []
    assert replies(went)[-3:] == [b"250 ok 3 octets", b"250 ok 1732413099 qp 4713", b"221 mail.joedomain.net"]


@pytest.mark.parametrize(
    ("rest", "reply"),
    [
        ([b"QUIT\r\n"], b"221 mail.joedomain.net"),
        ([b""], b"250 ok 3 octets"),
        ([b"BDAT 5 LAST\r\nb", b""], b"250 ok 3 octets"),
        ([None], b"451 timeout (#4.4.2)"),
        ([b"BDAT 5 LAST\r\nb", None], b"451 timeout (#4.4.2)"),
        ([b"BDAT 2 LAST\r\nb\n", b""], b"451 See https://cr.yp.to/docs/smtplf.html."),
        ([b"BDAT 5 LAST\r\nb\n", b""], b"451 See https://cr.yp.to/docs/smtplf.html."),
        ([b"BDAT 5 LAST\r\nb\n", None], b"451 See https://cr.yp.to/docs/smtplf.html."),
        ([b"BDAT\r\n", b""], b"501 syntax error in BDAT, closing connection (#5.5.4)"),
        ([b"RSET\r\nNOOP\r\n", b""], OK.strip()),
        ([b"EHLO x\r\nNOOP\r\n", b""], OK.strip()),
        ([b"HELO x\r\nNOOP\r\n", b""], OK.strip()),
    ],
)
def test_what_breaks_it_off(rest: list[Arrival], reply: bytes) -> None:
    went = played(FIRST, *rest)
    assert went.queued == []
    assert len(went.abandoned) == 1
    assert replies(went)[-1] == reply


def test_a_queue_that_does_not_start_costs_the_whole_message() -> None:
    went = played(FIRST + b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", script=Script(opened=b"no room"))
    assert replies(went)[-3:] == [b"451 qqt failure (#4.3.0)", b"503 MAIL first (#5.5.1)", b"250 ok"]
    assert went.queued == went.abandoned == []


@pytest.mark.parametrize(
    "finished", [(Outcome(SIGNALLED, 11), True), (Outcome(EXITED, 53), True), (Outcome(EXITED, 0), False)]
)
def test_only_a_queue_that_took_all_is_believed(finished: tuple[Outcome, bool]) -> None:
    went = played(FIRST + b"BDAT 0 LAST\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", script=Script(finished=finished))
    assert [reply[:3] for reply in replies(went)[-4:]] == [b"250", b"451", b"503", b"250"]


def test_what_is_too_big_is_read_past_and_not_kept() -> None:
    went = played(
        MAIL + RCPT + b"BDAT 1000000\r\n", *[b"x" * 10_000] * 100, b"BDAT 6\r\nQUIT\r\nNOOP\r\n", databytes=50_000
    )
    assert [reply[:3] for reply in replies(went)[-3:]] == [b"552", b"503", b"250"]
    assert len(went.abandoned[0]) < 51_000


def test_pieces_are_handed_on_as_they_come() -> None:
    """Nothing much is gathered: an arrival is the queue's before the next is asked for."""
    went = played(MAIL + RCPT + b"BDAT 200000\r\n", b"a" * 65536, b"b" * 65536, b"")
    assert went.abandoned[0].endswith(b"a" * 65536 + b"b" * 65536)
