"""Addresses in MAIL and RCPT as qmail-smtpd's addrparse reads them.

Quotes and backslashes are taken off, a source route is dropped, the length is bounded. Three of its habits serve
nobody but an attacker and are refused here: an argument with neither `<` nor `:`, a source route without its `:`,
and an octet above 255 in an address literal.
"""

LONGEST = 899  # octets


class SyntaxFault(Exception):
    """The argument holds no address (reply 555)."""


def parse(argument: bytes) -> tuple[bytes, bytes]:
    """The address in a MAIL or RCPT argument, and the parameters, which stand behind a blank.

    Raises SyntaxFault.
    """
    opening = argument.find(b"<")
    if opening >= 0:
        text, terminator = argument[opening + 1 :], b">"
    else:
        _, colon, text = argument.partition(b":")
        if not colon:
            raise SyntaxFault
        text, terminator = text.lstrip(b" "), b" "
    if text.startswith(b"@"):
        _, colon, text = text.partition(b":")
        if not colon:
            raise SyntaxFault
    address, rest = unquote(text, terminator)
    return address, rest.partition(b" ")[2] if terminator == b">" else rest


def unquote(text: bytes, terminator: bytes) -> tuple[bytes, bytes]:
    """`text` up to an unquoted `terminator`, without its quoting, and the rest behind it."""
    if b'"' not in text and b"\\" not in text:
        address, _, rest = text.partition(terminator)
        return address, rest
    copied = bytearray()
    quoted = escaped = False
    for at in range(len(text)):
        octet = text[at : at + 1]
        if escaped:
            copied += octet
            escaped = False
        elif octet == terminator and not quoted:
            return bytes(copied), text[at + 1 :]
        elif octet == b"\\":
            escaped = True
        elif octet == b'"':
            quoted = not quoted
        else:
            copied += octet
    return bytes(copied), b""


def domain(address: bytes) -> bytes:
    """What stands behind the last @; empty where there is none."""
    return address.rpartition(b"@")[2] if b"@" in address else b""


def literal(address: bytes) -> bytes:
    """The IPv4 address of `user@[d.d.d.d]` in its plain decimal form; empty for any other address.

    Raises SyntaxFault for an octet above 255.
    """
    host = domain(address)
    if not (host.startswith(b"[") and host.endswith(b"]")):
        return b""
    octets = host[1:-1].split(b".")
    if len(octets) != 4 or not all(octet.isdigit() for octet in octets):
        return b""
    significant = [octet.lstrip(b"0") or b"0" for octet in octets]
    if any(len(octet) > 3 or int(octet) > 255 for octet in significant):
        raise SyntaxFault
    return b".".join(significant)
