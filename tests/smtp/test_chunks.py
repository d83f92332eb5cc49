"""The message of BDAT (smtp/chunks.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.smtp.body import Body
from qmailfork.smtp.chunks import Chunks, size

PIECES = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\0", b"\xff", b"Received", b"\r\n\r\n"]))
CUTS = st.lists(st.integers(0, 9))


def in_pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    """`text` cut into pieces of these lengths, and the rest."""
    pieces, at = [], 0
    for length in cuts:
        pieces.append(text[at : at + length])
        at += length
    return [*pieces, text[at:]]


def stored(pieces: list[bytes]) -> tuple[bytes, Chunks]:
    chunks = Chunks()
    text = b""
    for piece in pieces:
        text += chunks.feed(piece)
        if chunks.stray:
            return text, chunks
    return text + chunks.close(), chunks


@given(PIECES, CUTS)
def test_it_is_all_the_same_where_a_chunk_ends(pieces: list[bytes], cuts: list[int]) -> None:
    text = b"".join(pieces)
    whole, of_whole = stored([text])
    cut, of_cut = stored(in_pieces(text, cuts))
    assert of_cut.stray == of_whole.stray
    if not of_whole.stray:
        assert (cut, of_cut.hops) == (whole, of_whole.hops)


@given(PIECES)
def test_it_is_stored_as_data_would_be(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    chunks = stored([text])
    lines = text if text.endswith(b"\r\n") or not text else text + b"\r\n"
    data = Body()
    dotted = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines.split(b"\r\n"))
    was = data.feed(dotted + b".\r\n")
    assert chunks[1].stray == data.stray
    if not data.stray:
        assert (chunks[0], chunks[1].hops) == (was, data.hops)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([], b""),
        ([b"", b""], b""),
        ([b"a"], b"a\n"),
        ([b"a\r\n"], b"a\n"),
        ([b"a\r"], b"a\r\n"),
        ([b"a\r\n\r"], b"a\n\r\n"),
        ([b"a\r", b"\n"], b"a\n"),
        ([b"a\r", b"", b"\n", b"b"], b"a\nb\n"),
        ([b"\r", b"\r", b"\n"], b"\r\n"),
        ([b".\r\n", b"..\r\n"], b".\n..\n"),
    ],
)
def test_stored(pieces: list[bytes], text: bytes) -> None:
    assert stored(pieces)[0] == text


@pytest.mark.parametrize("pieces", [[b"\n"], [b"a\n"], [b"a", b"\n"], [b"a\r", b"x\n"], [b"\r\n", b"\n"]])
def test_a_bare_lf_is_astray(pieces: list[bytes]) -> None:
    assert stored(pieces)[1].stray


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        (b"0", (0, False)),
        (b"5 LAST", (5, True)),
        (b"5  last ", (5, True)),
        (b"007", (7, False)),
        (b"9" * 20, (10**20 - 1, False)),
        (b"", None),
        (b"LAST", None),
        (b"-1", None),
        (b"+1", None),
        (b"1x", None),
        (b"1 2", None),
        (b"1 LAST LAST", None),
        (b"1\tLAST", None),
        (b"1" * 21, None),
    ],
)
def test_size(argument: bytes, found: tuple[int, bool] | None) -> None:
    assert size(argument) == found
