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
