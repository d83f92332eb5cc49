"""DATA: what reaches the queue program, and when nothing may (conversation/message.py)."""

import pytest

from qmailfork.programs.outcome import EXITED, SIGNALLED, UNSTARTED, Outcome
from tests.conversation.scripted import GO_AHEAD, MAIL, OK, QUEUED, RCPT, RECEIVED, Arrival, Script, play, replies, site

READY = MAIL + RCPT + b"DATA\r\n"
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
ENVELOPE = b"Fa@example.net\0Tjoe@joedomain.net\0\0"


def test_the_message_and_its_envelope() -> None:
    played = play([READY, MESSAGE + b".\r\n", b"QUIT\r\n"])
    assert played.queued == [(RECEIVED % b"" + b"Subject: x\n\nhello\n", ENVELOPE)]
    assert played.exchanges[1:] == [OK + OK + GO_AHEAD, QUEUED]
    assert played.ending.status == 0
    assert played.abandoned == []


def test_a_message_in_pieces_is_the_same() -> None:
    whole = MESSAGE + b".\r\nQUIT\r\n"
    played = play([READY, *[bytes([octet]) for octet in whole]])
    assert played.queued == [(RECEIVED % b"" + b"Subject: x\n\nhello\n", ENVELOPE)]


def test_many_commands_behind_a_message_wait_for_nothing() -> None:
    played = play([READY, MESSAGE + b".\r\n" + b"NOOP\r\n" * 5000])
    assert replies(played)[-5000:] == [b"250 ok"] * 5000
    assert set(played.waits) == {0.0}


@pytest.mark.parametrize(
    ("helo", "field"),
    [(b"HELO foo", b"(HELO foo) ("), (b"EHLO foo", b"(HELO foo) ("), (b"HELO UNKNOWN", b"("), (b"HELO", b"(HELO ) (")],
)
def test_the_received_field_tells_a_helo_that_is_not_the_hosts_name(helo: bytes, field: bytes) -> None:
    played = play([helo + b"\r\n" + READY + b".\r\n"])
    assert played.queued[0][0].startswith(b"Received: from unknown " + field + b"203.0.113.7)\n  by ")


def test_recipients_in_their_order_and_as_often_as_they_were_said() -> None:
    more = b"".join(b"RCPT TO:<%b@joedomain.net>\r\n" % name for name in (b"c", b"a", b"c"))
    assert play([MAIL + more + b"DATA\r\n.\r\n"]).queued[0][1] == (
        b"Fa@example.net\0Tc@joedomain.net\0Ta@joedomain.net\0Tc@joedomain.net\0\0"
    )


@pytest.mark.parametrize("at", range(len(MESSAGE + b".\r\n")))
@pytest.mark.parametrize("what", [b"", None], ids=["gone", "late"])
def test_a_client_that_leaves_at_any_octet_leaves_nothing(at: int, what: Arrival) -> None:
    before = (MESSAGE + b".\r\n")[:at]
    played = play([READY, *([before] if before else []), what])
    assert played.queued == []
    assert len(played.abandoned) == 1
    assert played.ending.status == 1
    assert played.ending.reply == (b"" if what == b"" else b"451 timeout (#4.4.2)\r\n")


@pytest.mark.parametrize(
    "body",
    [b"\n", b"a\nb\r\n.\r\n", b"a\r\n.\n", b"a\n.\r\nMAIL FROM:<evil@example.net>\r\n", b"\n.\n", b"a\r\n.\r\r\n\n"],
)
def test_a_stray_newline_ends_the_session(body: bytes) -> None:
    played = play([READY, body, b"QUIT\r\n"])
    assert played.queued == []
    assert len(played.abandoned) == 1
    assert played.ending.reply.endswith(b"451 See https://cr.yp.to/docs/smtplf.html.\r\n")
    assert played.ending.status == 1
    assert played.conditions[-1] == b"Reject::DATA::Stray_Newline"


SMUGGLED = b"MAIL FROM:<evil@example.net>\r\n" + RCPT + b"DATA\r\nforged\r\n.\r\n"


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\r\n.\r\r\n", b"\0\r\n. \r\n"]
)
def test_no_other_ending_lets_a_second_message_in(end: bytes) -> None:
    for blocks in ([READY + b"x" + end + SMUGGLED], [READY, b"x" + end, SMUGGLED]):
        played = play(blocks)
        assert all(b"evil" not in envelope for _, envelope in played.queued)


class TestDatabytes:
    def played(self, *blocks: bytes) -> list[bytes]:
        return replies(play([READY, *blocks, b"NOOP\r\n"], site(databytes=10)))[3:]

    TOO_BIG = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)"

    def test_as_much_as_there_may_be(self) -> None:
        assert self.played(b"123456789\r\n.\r\n") == [b"250 ok 1732413099 qp 4713", b"250 ok"]

    @pytest.mark.parametrize("blocks", [[b"1234567890\r\n.\r\n"], [b"123456789\r\n", b"\r\n", b".\r\n"]])
    def test_one_octet_more(self, blocks: list[bytes]) -> None:
        assert self.played(*blocks) == [self.TOO_BIG, b"250 ok"]

    def test_a_message_that_is_too_big_is_read_to_its_end_and_kept_from_the_queue(self) -> None:
        played = play([READY, *[b"x" * 1000 + b"\r\n"] * 1000, b".\r\n"], site(databytes=2000))
        assert played.queued == []
        assert len(played.abandoned[0]) < 2500
        assert played.conditions[-1] == b"Reject::DATA::Invalid_Size"
        assert replies(played)[-1] == self.TOO_BIG

    def test_too_many_hops_are_told_first(self) -> None:
        said = self.played(b"Received: x\r\n" * 100 + b".\r\n")
        assert said[0] == b"554 too many hops, this message is looping (#5.4.6)"


@pytest.mark.parametrize(("hops", "queued"), [(99, True), (100, False)])
def test_hops(hops: int, queued: bool) -> None:
    played = play([READY, b"Received: x\r\n" * hops + b"\r\nReceived: x\r\n.\r\n"])
    assert bool(played.queued) == queued
    assert len(played.abandoned) == (0 if queued else 1)
    assert (b"Reject::DATA::Toomany_Hops" in played.conditions) != queued


@pytest.mark.parametrize(
    ("finished", "reply"),
    [
        ((Outcome(EXITED, 31), True), b"554 mail server permanently rejected message (#5.3.0)"),
        ((Outcome(EXITED, 82, b"Dno virus here"), True), b"554 no virus here"),
        ((Outcome(EXITED, 0), False), b"451 qq read error (#4.3.0)"),
        ((Outcome(SIGNALLED, 11), True), b"451 qq crashed (#4.3.0)"),
        ((Outcome(UNSTARTED, 2), True), b"451 unable to exec qq (#4.3.0)"),
    ],
)
def test_only_a_queue_program_that_says_so_has_queued(finished: tuple[Outcome, bool], reply: bytes) -> None:
    played = play([READY + b".\r\n"], script=Script(finished=finished))
    assert replies(played)[-1] == reply
    assert played.conditions[-1].startswith(b"Reject::DATA::Queue_")


def test_what_follows_the_message_in_one_block_is_commands() -> None:
    played = play([READY + b"x\r\n.\r\nNOOP\r\nRSET\r\n"])
    assert replies(played)[-3:] == [b"250 ok 1732413099 qp 4713", b"250 ok", b"250 flushed"]
    assert len(played.exchanges) == 3  # the message's reply does not wait for what follows
