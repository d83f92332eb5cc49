"""However the client's octets arrive, the conversation is the same; what comes at once is answered at once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs.outcome import EXITED, Outcome
from tests.conversation.scripted import GO_AHEAD, GREETING, MAIL, OK, QUEUED, RCPT, Played, Script, play, site

LINES = [
    b"HELO foo", b"EHLO [203.0.113.7]", b"MAIL FROM:<a@example.net>", b"MAIL FROM:<b@example.net> SIZE=99",
    b"RCPT TO:<joe@joedomain.net>", b"RCPT TO:<ann@joedomain.net>", b"RCPT TO:<x@elsewhere.org>", b"MAIL nobody",
    b"DATA", b"RSET", b"NOOP",
    b"VRFY x", b"HELP", b"AUTH PLAIN", b"", b"\0", b"x" * 17000, b"QUIT", b".", b"Received: x", b"..", b".\r", b"a\nb",
]  # fmt: skip
TRANSACTION = [LINES[2], LINES[5], b"DATA", b"Subject: x", b"", b"..hello", b".", b"NOOP"]
CONVERSATION = st.lists(st.one_of(st.just(TRANSACTION), st.lists(st.sampled_from(LINES), max_size=4)), max_size=6).map(
    lambda groups: b"".join(line + b"\r\n" for group in groups for line in group)
)


def checker(argv: list[bytes], environment: dict[bytes, bytes]) -> Outcome:
    return Outcome(EXITED, 100 if environment[b"REMOTERCPT"].startswith(b"ann") else 0)


def held(blocks: list[bytes]) -> Played:
    settings = site({b"SMTPEXTFORK": b"/a"}, databytes=60, loglevel=4)
    return play([block for block in blocks if block], settings, Script(run=checker))


def gist(played: Played) -> tuple[object, ...]:
    """All that may not depend on how the octets arrived."""
    said = [(event.condition, event.words, event.sender, event.recipient) for event in played.notes]
    return played.said, played.queued, len(played.abandoned), said, played.ending.status, len(played.runs)


@given(CONVERSATION, st.lists(st.integers(0, 40000), max_size=8))
def test_any_cutting_gives_the_same_conversation(octets: bytes, places: list[int]) -> None:
    borders = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    blocks = [octets[start:end] for start, end in pairwise(borders)]
    assert gist(held(blocks)) == gist(held([octets]))


@given(CONVERSATION.filter(lambda octets: len(octets) < 1500))
def test_an_octet_at_a_time(octets: bytes) -> None:
    assert gist(held([octets[at : at + 1] for at in range(len(octets))])) == gist(held([octets]))


@given(CONVERSATION, st.integers(0, 40000))
def test_a_client_that_leaves_anywhere_leaves_nothing_half_done(octets: bytes, at: int) -> None:
    played = held([octets[: at % (len(octets) + 1)]])  # play() itself sees that the queue is not left open
    assert held([octets]).said.startswith(played.said)
    assert played.queued == held([octets]).queued[: len(played.queued)]


def test_a_pipelined_group_costs_one_exchange() -> None:
    played = play([b"EHLO foo\r\n", MAIL + RCPT + RCPT + b"DATA\r\n", b"x\r\n.\r\nQUIT\r\n"])
    assert played.exchanges[0] == GREETING
    assert played.exchanges[2] == OK + OK + OK + GO_AHEAD
    assert len(played.exchanges) == 3
    assert played.ending.reply == QUEUED + b"221 mail.joedomain.net\r\n"


def test_a_whole_session_in_one_block_is_answered_in_one() -> None:
    played = play([MAIL + RCPT + b"DATA\r\nx\r\n.\r\nQUIT\r\n"])
    assert played.exchanges == [GREETING]
    assert played.ending.reply == OK + OK + GO_AHEAD + QUEUED + b"221 mail.joedomain.net\r\n"


def test_nothing_is_sent_while_whole_lines_are_left() -> None:
    played = play([b"NOOP\r\n" * 3 + b"NOO", b"P\r\n"])
    assert played.exchanges == [GREETING, OK * 3, OK]
