"""A sample of tests/fuzz/run, and streams without end in bounded memory."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmailfork.conversation.conduct import converse
from tests.fuzz import sites
from tests.fuzz.carrier import Carried
from tests.fuzz.check import Fuzz

SAMPLE = 3000
TIMES = 20
BEGIN = b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\n"
ENDLESS = {  # what is said first, what again and again, and where, if not at any site
    "line": (b"", b"x" * 50000),
    "dots": (BEGIN + b"DATA\r\n", b"." * 50000),
    "header": (BEGIN + b"DATA\r\nSubject: ", b"x" * 50000),
    "fields": (BEGIN + b"DATA\r\n", b"X: y\r\n" * 8000),
    "carriage-returns": (BEGIN + b"DATA\r\n\r\n", b"\r" * 50000),
    "empty-lines": (BEGIN + b"DATA\r\n", b"\r\n" * 12000),
    "body": (BEGIN + b"DATA\r\n\r\n", (b"x" * 60 + b"\r\n") * 800),
    "commands": (b"", b"NOOP\r\nVRFY x\r\n\r\nHELP\r\n" * 800),
    "senders": (b"", b"MAIL FROM:<a@example.net>\r\n" * 800),
    "refused-recipients": (BEGIN, b"RCPT TO:<x@elsewhere.org>\r\n" * 800),
    "nonsense": (b"", b"\0\xff<>\r\n" * 3000),
    "chunk": (BEGIN + b"BDAT 99999999\r\n", b"x" * 50000, "extensions"),
    "chunk-of-lines": (BEGIN + b"BDAT 99999999\r\n", b"x\r\n" * 16000, "extensions"),
    "chunks": (BEGIN, b"BDAT 3\r\nx\r\n" * 4000, "extensions"),
    "refused-chunk": (b"BDAT 99999999\r\n", b"x" * 50000, "extensions"),
    "too-large-chunk": (BEGIN + b"BDAT 99999999\r\n", b"x" * 50000, "chunks"),
    "challenges": (b"", b"AUTH LOGIN\r\n*\r\nAUTH CRAM-MD5\r\n!\r\n" * 800, "auth"),
    "answer": (b"AUTH PLAIN\r\n", b"A" * 50000, "auth"),
    "initial-answer": (b"AUTH PLAIN ", b"A" * 50000, "auth"),
    "refused-encryption": (b"", b"STARTTLS x\r\n" * 800, "tls"),
    "no-encryption": (b"", b"STARTTLS\r\n" * 800, "tls-unusable"),
}


def test_a_sample(tmp_path: Path) -> None:
    fuzz = Fuzz(tmp_path)
    for number in range(SAMPLE):
        fuzz.try_one(number)


class Forgetful(Carried):
    """A driver that keeps nothing of what it is asked."""

    def drive(self, conversation: object) -> Carried:
        class Nothing(list[object]):
            def append(self, what: object) -> None:
                pass

        self.said, self.events, self.done = Nothing(), Nothing(), Nothing()  # type: ignore[assignment]  # no lists
        return super().drive(conversation)


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_no_end(name: str, wrapped: bool, tmp_path: Path) -> None:
    first, again, *where = ENDLESS[name]
    site = "".join(where or ["plain"]) + "-wrapped" * wrapped
    (place,) = [place for place in sites.read(tmp_path) if place.name == site]
    left = [0]

    def octets(times: int) -> Iterator[bytes]:
        yield first + again
        for left[0] in reversed(range(times)):
            yield again

    def peak() -> int:
        tracemalloc.start()
        try:
            Forgetful(0, octets(TIMES)).drive(converse(*place.session({})))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    Forgetful(0, octets(2)).drive(converse(*place.session({})))
    # it does not keep what it is told; what other threads of this process keep for a moment is counted, too
    assert any(peak() < 0.6 * TIMES * len(again) for _ in range(3))
    assert left == [0]  # it was told everything


@pytest.mark.parametrize(("verb", "message"), [(b"DATA", b"x\r\n.\r\n"), (b"BDAT 3 LAST", b"x\r\n")])
def test_what_comes_behind_a_message_leaves_others_their_turn(verb: bytes, message: bytes, tmp_path: Path) -> None:
    (place,) = [place for place in sites.read(tmp_path) if place.name == "extensions"]
    arrivals = [BEGIN + verb + b"\r\n", message + b"NOOP\r\n" * 10000]
    went = Carried(4, arrivals).drive(converse(*place.session({})))
    assert b"".join(went.said).count(b"250 ok") > 10000
    assert max(map(len, went.said)) < 2000


def test_what_arrives_together_is_answered_together_in_several_turns(tmp_path: Path) -> None:
    """TCP keeps back a second small segment until the client has acknowledged the first."""
    (place,) = [place for place in sites.read(tmp_path) if place.name == "plain"]
    arrivals = [b"HELO x\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<joe@joedomain.net>\r\n" * 30]
    assert 800 < len(arrivals[0]) < 1024
    went = Carried(4, arrivals).drive(converse(*place.session({})))
    assert [said.count(b"\r\n") for said in went.said if said] == [1, 32]
    assert went.said.count(b"") > 2
