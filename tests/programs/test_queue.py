"""The qmail-queue interface as data (programs/queue.py): the envelope, and what every exit code is answered with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs import queue
from qmailfork.programs.outcome import EXITED, EXPIRED, SIGNALLED, UNSTARTED, Outcome

WORDS = {
    11: b"554 envelope address too long for qq (#5.1.3)",
    31: b"554 mail server permanently rejected message (#5.3.0)",
    51: b"451 qq out of memory (#4.3.0)",
    52: b"451 qq timeout (#4.3.0)",
    53: b"451 qq write error or disk full (#4.3.0)",
    54: b"451 qq read error (#4.3.0)",
    55: b"451 qq unable to read configuration (#4.3.0)",
    56: b"451 qq trouble making network connection (#4.3.0)",
    61: b"451 qq trouble in home directory (#4.3.0)",
    62: b"451 qq trouble creating files in queue (#4.3.0)",
    63: b"451 qq trouble creating files in queue (#4.3.0)",
    64: b"451 qq trouble creating files in queue (#4.3.0)",
    65: b"451 qq trouble creating files in queue (#4.3.0)",
    66: b"451 qq trouble creating files in queue (#4.3.0)",
    71: b"451 mail server temporarily rejected message (#4.3.0)",
    72: b"451 connection to mail server timed out (#4.4.1)",
    73: b"451 connection to mail server rejected (#4.4.1)",
    74: b"451 communication with mail server failed (#4.4.2)",
    81: b"451 qq internal bug (#4.3.0)",
    91: b"451 qq internal bug (#4.3.0)",
    115: b"554 envelope address too long for qq (#5.1.3)",
    120: b"451 unable to exec qq (#4.3.0)",
}


def expected(code: int) -> bytes:
    if code in WORDS:
        return WORDS[code] + b"\r\n"
    return b"554 qq permanent problem (#5.3.0)\r\n" if 11 <= code <= 40 else b"451 qq temporary problem (#4.3.0)\r\n"


@pytest.mark.parametrize("code", range(1, 256))
@pytest.mark.parametrize("complete", [True, False])
def test_every_exit_code_has_its_words(code: int, complete: bool) -> None:
    assert queue.refusal(Outcome(EXITED, code), complete) == expected(code)


def test_only_exit_0_with_everything_handed_over_is_an_acceptance() -> None:
    assert queue.refusal(Outcome(EXITED, 0), True) == b""
    assert queue.refusal(Outcome(EXITED, 0), False) == expected(54)


@pytest.mark.parametrize("code", [0, 9, 11, 31, 100])
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        (SIGNALLED, b"451 qq crashed (#4.3.0)\r\n"),
        (EXPIRED, b"451 qq timeout (#4.3.0)\r\n"),
        (UNSTARTED, b"451 unable to exec qq (#4.3.0)\r\n"),
    ],
)
def test_an_end_without_exit_code_is_temporary(how: str, words: bytes, code: int, complete: bool) -> None:
    assert queue.refusal(Outcome(how, code), complete) == words


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        (b"DMail refused: virus", b"554 Mail refused: virus"),
        (b"ZTry later", b"451 Try later"),
        (b"XTry later", b"451 Try later"),
        (b" Try later", b"451 Try later"),
        (b"Dno\r\n250 ok\r\n", b"554 no  250 ok"),
        (b"Dno\n", b"554 no"),
        (b"D\x00\x1b[2J\x7f\xff", b"554 [2J"),
        (b"D" + b"x" * 300, b"554 " + b"x" * 254),
        (b"Dxy", b"554 xy"),
        (b"Dx", b"451 qq temporary problem (#4.3.0)"),
        (b"D", b"451 qq temporary problem (#4.3.0)"),
        (b"", b"451 qq temporary problem (#4.3.0)"),
    ],
)
def test_the_programs_own_words(text: bytes, reply: bytes) -> None:
    assert queue.refusal(Outcome(EXITED, 82, text), True) == reply + b"\r\n"


@pytest.mark.parametrize("code", [0, 31, 53])
def test_own_words_go_with_82_alone(code: int) -> None:
    assert queue.refusal(Outcome(EXITED, code, b"Dmy own words"), True) == (expected(code) if code else b"")


@given(st.binary(min_size=3, max_size=400))
def test_own_words_are_always_one_plain_line(text: bytes) -> None:
    reply = queue.refusal(Outcome(EXITED, 82, text), True)
    assert reply.endswith(b"\r\n")
    assert reply[:4] in (b"554 ", b"451 ")
    assert all(32 <= octet <= 126 for octet in reply[:-2])


def test_the_envelope() -> None:
    assert queue.envelope(b"a@example.net", [b"joe@joedomain.net"]) == b"Fa@example.net\0Tjoe@joedomain.net\0\0"
    assert queue.envelope(b"", [b"x", b"", b"y"]) == b"F\0Tx\0T\0Ty\0\0"
