"""The Received field that qmail-smtpd puts above a message (RFC 5321 section 4.4, in received.c's form)."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@%+/=:-[]")
_SAFE = bytes(octet if octet in _PLAIN else ord("?") for octet in range(256))
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def safe(text: bytes) -> bytes:
    """`text` with every octet that could mislead a reader of the field as `?`."""
    return text.translate(_SAFE)


def date(moment: tuple[int, ...]) -> bytes:
    """A UTC time, as a struct_time's first six numbers, in RFC 5322's form."""
    year, month, day, hour, minute, second = moment[:6]
    return b"%d %b %d %02d:%02d:%02d -0000" % (day, _MONTHS[month - 1], year, hour, minute, second)


def protocol(spoken: bytes, utf8: bool) -> bytes:
    """The field's word for a protocol as spamcontrol logs it: qmail's own SMTP, or RFC 3848's for TLS and AUTH,
    RFC 6531's (section 4.3) for a message in `utf8`.
    """
    if utf8:
        return b"UTF8" + spoken.removeprefix(b"E").removesuffix(b"M")
    return b"SMTP" if spoken == b"ESMTP" else spoken


def field(
    host: bytes,
    helo: bytes | None,
    info: bytes | None,
    ip: bytes,
    local: bytes,
    protocol: bytes,
    moment: tuple[int, ...],
) -> bytes:
    """The whole field with its line ends (LF): `helo` and `info` only where they are not None."""
    greeted = b"" if helo is None else b" (HELO %b)" % safe(helo)
    user = b"" if info is None else b"%b@" % safe(info)
    return b"Received: from %b%b (%b%b)\n  by %b with %b; %b\n" % (
        safe(host),
        greeted,
        user,
        safe(ip),
        safe(local),
        protocol,
        date(moment),
    )
