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
