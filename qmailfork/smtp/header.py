"""Header fields that are put above a message (RFC 5322 sections 2.1.1 and 2.2)."""

LONGEST = 998  # octets of a line
_PLAIN = bytes(octet if 32 <= octet <= 126 or octet == 9 else ord("?") for octet in range(256))


def field(text: bytes) -> bytes | None:
    """`text`, one `Name: value`, as a line that ends in LF and is plain ASCII; None where it has not this shape."""
    name, colon, value = text.partition(b":")
    printable = name and all(33 <= octet <= 126 for octet in name)
    if not colon or not printable or not value.strip() or len(text) > LONGEST or b"\n" in text:
        return None
    return b"%b: %b\n" % (name, value.strip().translate(_PLAIN))
