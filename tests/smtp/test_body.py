"""The message after DATA (smtp/body.py), held against qmail-smtpd's state machine, an octet at a time."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qmailfork.smtp.body import MANY, Body

START, DOT, DOT_CR, MIDDLE, CR = "start", "dot", "dot cr", "middle", "cr"


class Model:
    """blast(): one octet at a time. `ended` or `stray` once it is over, `stored` what came of it."""

    def __init__(self) -> None:
        self.state = START
        self.stored = b""
        self.ended = self.stray = False
        self.header, self.line, self.hops = True, b"", 0

    def feed(self, octet: bytes) -> None:
        self.count(octet)
        if octet == b"\n" and self.state not in (DOT_CR, CR):
            self.stray = True
        elif self.state == START and octet == b".":
            self.state = DOT
        elif self.state == DOT and octet == b"\r":
            self.state = DOT_CR
        elif self.state == DOT_CR and octet == b"\n":
            self.ended = True
        elif self.state == DOT_CR:
            self.stored += b".\r"
            self.put(octet)
        elif self.state == CR and octet == b"\n":
            self.stored += b"\n"
            self.state = START
        elif self.state == CR:
            self.stored += b"\r"
            self.put(octet)
        else:
            self.put(octet)

    def put(self, octet: bytes) -> None:
        self.state = CR if octet == b"\r" else MIDDLE
        self.stored += b"" if octet == b"\r" else octet

    def count(self, octet: bytes) -> None:
        """Hops are judged on the wire, before dots are taken off."""
        self.line += octet
        if octet == b"\n":
            if self.header and self.line == b"\r\n":
                self.header = False
            if self.header and self.line.lower().startswith((b"received", b"delivered")):
                self.hops += 1
            self.line = b""

    @classmethod
    def of(cls, wire: bytes) -> "tuple[Model, bytes]":
        """The model after `wire`, and what stands behind the end."""
        model = cls()
        for at in range(len(wire)):
            model.feed(wire[at : at + 1])
            if model.ended or model.stray:
                return model, wire[at + 1 :]
        return model, b""


def fed(blocks: list[bytes]) -> tuple[Body, bytes, bytes]:
    """The body after these blocks, what it stored, what it left over."""
    body, stored = Body(), []
    for at, block in enumerate(blocks):
        stored.append(body.feed(block))
        if body.ended or body.stray:
            return body, b"".join(stored), body.rest + b"".join(blocks[at + 1 :])
    return body, b"".join(stored), b""


def agree(blocks: list[bytes]) -> None:
    model, behind = Model.of(b"".join(blocks))
    body, stored, rest = fed(blocks)
    assert body.stray == model.stray
    if model.stray:
        return
    assert (body.ended, body.hops) == (model.ended, model.hops)
    if model.ended:
        assert (stored, rest) == (model.stored, behind)
    else:
        assert model.stored.startswith(stored)
        assert len(model.stored) - len(stored) <= 2  # no more than a dot and a CR may wait


PIECES = [
    b"\r\n", b"\r", b"\n", b".", b"..", b".\r", b".\r\n", b"\r\n.\r\n", b"\r\n.", b"a", b"Received: x\r\n", b"received",
    b"Delivered-To: y\r\n", b"delivere", b"\r\r\n", b"\0", b"\xff", b"hello world", b"Subject: x\r\n\r\n",
]  # fmt: skip
WIRE = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=25).map(b"".join)
NO_BARE_LF = WIRE.map(lambda wire: wire.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
ENDED = NO_BARE_LF.map(lambda wire: wire + b"\r\n.\r\nQUIT\r\n")


def cut(wire: bytes, places: list[int]) -> list[bytes]:
    """`wire` in pieces, cut at these places."""
    borders = [0, *sorted(place % (len(wire) + 1) for place in places), len(wire)]
    return [wire[start:end] for start, end in pairwise(borders)]


@given(st.one_of(WIRE, NO_BARE_LF, ENDED), st.lists(st.integers(0, 400), max_size=12))
@example(b".\r\n", [1, 2])
@example(b".\r\r\n.\r\n", [1, 2, 3, 4])
@example(b"a\r\n.\rb\r\n.\r\n", [3, 4, 5])
@example(b"Received\r\n\r\n.\r\n", [4, 8, 9, 10, 11])
def test_in_any_cutting_it_stores_what_the_state_machine_stores(wire: bytes, places: list[int]) -> None:
    agree(cut(wire, places))


@given(st.one_of(WIRE, ENDED))
def test_an_octet_at_a_time(wire: bytes) -> None:
    agree([wire[at : at + 1] for at in range(len(wire))])


@given(st.text("\r\n.aR", max_size=9), st.lists(st.integers(0, 12), max_size=4))
def test_everything_small_is_decided_alike(text: str, places: list[int]) -> None:
    agree(cut(text.encode() + b"\r\n.\r\n", places))


@pytest.mark.parametrize(
    ("wire", "stored"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\n"),
        (b"hello\r\n.\r\n", b"hello\n"),
        (b"..\r\n.\r\n", b".\n"),
        (b".x\r\n.\r\n", b"x\n"),
        (b"x\r\n..y\r\n.\r\n", b"x\n.y\n"),
        (b".\r\r\n.\r\n", b".\r\n"),  # a dot before a CR stays
        (b"x\r\n.\ry\r\n.\r\n", b"x\n.\ry\n"),
        (b"a\rb\r\r\n.\r\n", b"a\rb\r\n"),
        (b"a\r\n.b\r\n.\r\n", b"a\nb\n"),
        (b"\xff\x00\x80\r\n.\r\n", b"\xff\x00\x80\n"),
        (b"a.\r\nb\r\n.\r\n", b"a.\nb\n"),
    ],
)
def test_what_is_stored(wire: bytes, stored: bytes) -> None:
    body = Body()
    assert body.feed(wire + b"NOOP\r\n") == stored
    assert (body.ended, body.stray, body.rest) == (True, False, b"NOOP\r\n")


@pytest.mark.parametrize(
    "wire",
    [b"\n", b"a\nb", b".\n", b"a\r\n.\n", b"a\n.\r\n", b"a\n.\n", b"a\r\n.\r\n".replace(b"\r", b""), b"\r\n\n"],
)
def test_a_bare_line_feed_is_stray_and_ends_no_message(wire: bytes) -> None:
    for blocks in ([wire], [wire[at : at + 1] for at in range(len(wire))]):
        body, stored, _ = fed(blocks)
        assert body.stray
        assert not body.ended
        assert b"\n." not in stored


@pytest.mark.parametrize("lines", [MANY - 1, MANY, 3 * MANY])
def test_a_block_of_many_lines_is_decided_as_one_of_few(lines: int) -> None:
    wire = b"a\r\n" * lines
    assert fed([wire + b".\r\n"])[1] == b"a\n" * lines
    body, stored, _ = fed([wire + b"\n" + wire + b".\r\n"])
    assert (body.stray, stored) == (True, b"")


def hops(wire: bytes) -> int:
    body = Body()
    body.feed(wire + b"\r\n.\r\n")
    return body.hops


@pytest.mark.parametrize(
    ("wire", "count"),
    [
        (b"Received: a\r\nreceived: b\r\nRECEIVED: c\r\nReCeIvEd: d\r\n", 4),
        (b"Delivered-To: a\r\ndelivered b\r\n", 2),
        (b"receivedfoo: y\r\n", 1),  # no colon is asked for
        (b" Received: a\r\nX-Received: a\r\nReceive: d\r\n", 0),
        (b".Received: a\r\n", 0),  # on the wire, before dots are taken off
        (b"Received: a\r\n\r\nReceived: b\r\n", 1),
        (b"\r\nReceived: b\r\n", 0),
        (b"a\r\r\nReceived: b\r\n", 1),
        (b"Received", 1),
    ],
)
def test_hops(wire: bytes, count: int) -> None:
    assert hops(wire) == count


def peak(block: bytes, times: int) -> int:
    """The most memory that a body takes while these blocks go through, in octets: the least of three such figures, as
    what other threads of this process have for a moment is counted, too.
    """
    return min(measured(block, times) for _ in range(3))


def measured(block: bytes, times: int) -> int:
    body = Body()
    body.feed(b"Subject: x\r\n")
    tracemalloc.start()
    try:
        for _ in range(times):
            body.feed(block)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("block", [b"x" * 65536, b"\r" * 65536, b"Received\r\n" * 6000, b"x\r\n" * 20000, b"." * 65536])
def test_memory_is_bounded_by_the_block(block: bytes) -> None:
    assert peak(block, 30) < 4 * 1024 * 1024
    assert abs(peak(block, 30) - peak(block, 5)) < len(block)
