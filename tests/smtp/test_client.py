"""What is said to a wrapped server is read there as it was meant."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qmailfork.smtp import address, client

PARTS = st.lists(
    st.sampled_from([b"@", b"a", b".", b'"', b"\\", b" ", b">", b"<", b":", b",", b"[", b"]", b"\xe9", b"@b.example"])
)


@given(PARTS.map(b"".join))
@example(b"@joedomain.net")
@example(b"@a.example:b@joedomain.net")
@example(b"")
def test_an_address_is_read_as_it_was(text: bytes) -> None:
    """qmail-smtpd would take @domain for a source route and so for an empty address, which no rcpthosts refuses."""
    try:
        written = client.quoted(text)
    except address.SyntaxFault:
        return
    assert address.parse(b"TO:<%b>" % written)[0] == text


@pytest.mark.parametrize("text", [b"a\r\nDATA@b", b"a@b\r\nDATA", b"a@b c", b"a\0@b", b"a@b>"])
def test_what_cannot_be_written_is_not(text: bytes) -> None:
    with pytest.raises(address.SyntaxFault):
        client.quoted(text)


@pytest.mark.parametrize(
    ("told", "tells"),
    [
        (b"250 child", b"250-child|250 LIMITS RCPTMAX=10"),
        (b"250-child|250 SIZE 5", b"250-child|250-SIZE 5|250 LIMITS RCPTMAX=10"),
        (b"250-child|250-limits MAILMAX=3 rcptmax=20|250 SIZE", b"250-child|250-SIZE|250 LIMITS RCPTMAX=10 MAILMAX=3"),
        (b"250-child|250 LIMITS RCPTMAX=10", b"250-child|250 LIMITS RCPTMAX=10"),
        (b"250-child|250 LIMITS MAILMAX=3 RCPTMAX=9", b"250-child|250 LIMITS MAILMAX=3 RCPTMAX=9"),
        (b"250-child|250-LIMITS RCPTMAX=|250 LIMITS RCPTMAX=x", b"250-child|250 LIMITS RCPTMAX=10"),
        (b"250-child|250-LIMITS RCPTMAX=99999999|250 ", b"250-child|250-|250 LIMITS RCPTMAX=10"),
    ],
)
def test_the_lower_limit_is_told_once(told: bytes, tells: bytes) -> None:
    told, tells = (lines.replace(b"|", b"\r\n") + b"\r\n" for lines in (told, tells))
    assert client.limited(told, 10) == tells
    assert client.limited(tells, 10) == tells


@pytest.mark.parametrize(
    ("data", "first"),
    [
        (b"", None),
        (b"250 ok", None),
        (b"250-a\r\n", None),
        (b"250 " + b"x" * (client.LONGEST_REPLY - 4), None),
        (b"250 ok\r\n", (b"250 ok\r\n", b"")),
        (b"250 ok\n25", (b"250 ok\r\n", b"25")),
        (b"200\r\n", (b"200\r\n", b"")),
        (b"599 x\r\n250 y\r\n", (b"599 x\r\n", b"250 y\r\n")),
        (b"250-a\r\n250-\r\n250 c\r\n354", (b"250-a\r\n250-\r\n250 c\r\n", b"354")),
    ],
)
def test_the_first_reply(data: bytes, first: tuple[bytes, bytes] | None) -> None:
    assert client.reply(data) == first


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"ok\r\n",
        b"25 x\r\n",
        b"2x0 x\r\n",
        b"199 x\r\n",
        b"600 x\r\n",
        b"250x\r\n",
        b"2500 x\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 " + b"x" * (client.LONGEST_REPLY - 3),
    ],
)
def test_what_is_no_reply(data: bytes) -> None:
    with pytest.raises(client.Nonsense):
        client.reply(data)


def test_what_a_server_offers() -> None:
    assert client.offers(b"250-STARTTLS\r\n250-size 5\r\n250 X-a\r\n") == {b"SIZE", b"X-A"}


def test_only_what_has_a_parameters_shape_is_handed_on() -> None:
    given = b" SIZE=5  X-Y body=8BITMIME =5 A= A=b=c A_B=1 <x> -"
    assert client.mail(b"a@b", given) == b"MAIL FROM:<a@b> SIZE=5 X-Y body=8BITMIME"
    assert client.recipient(b"c d", given) == b'RCPT TO:<"c d"> SIZE=5 X-Y body=8BITMIME'


@pytest.mark.parametrize(
    ("wire", "sent"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.a\r\n.\r\n", b"..\r\n.a\r\n"),
        (b".\rx\r\na\r\n.\ry\r\n.\r\n", b"..\rx\r\na\r\n..\ry\r\n"),
        (b"a.\rx\r\n.\r\n", b"a.\rx\r\n"),
    ],
)
def test_a_message_passes_with_its_dots(wire: bytes, sent: bytes) -> None:
    for size in range(1, len(wire) + 1):
        passage = client.Passage()
        pieces = [passage.feed(wire[at : at + size]) for at in range(0, len(wire), size)]
        assert (b"".join(pieces), passage.ended, passage.stray) == (sent, True, False)


@pytest.mark.parametrize("wire", [b"\n", b"a\nb\r\n.\r\n", b"a\r\n.\n", b"\r\n\n.\r\n"])
def test_a_bare_line_feed_does_not_pass(wire: bytes) -> None:
    passage = client.Passage()
    assert b"\n" not in passage.feed(wire).replace(b"\r\n", b"")
    assert passage.stray
