"""Command lines: verbs, arguments, and the parameters of MAIL and RCPT (RFC 5321 section 4.1.1)."""

from qmailfork.smtp.address import SyntaxFault

LONGEST = 16384  # octets of one command line; RFC 4954 needs 12288

HELO, EHLO, MAIL, RCPT, DATA = b"helo", b"ehlo", b"mail", b"rcpt", b"data"
RSET, NOOP, VRFY, HELP, QUIT = b"rset", b"noop", b"vrfy", b"help", b"quit"
STARTTLS, AUTH, BDAT = b"starttls", b"auth", b"bdat"
VERBS = (HELO, EHLO, MAIL, RCPT, DATA, RSET, NOOP, VRFY, HELP, QUIT, STARTTLS, BDAT, AUTH)
SPOKEN = VERBS[:-1]  # what holds no password


def split(line: bytes) -> tuple[bytes, bytes]:
    """The verb in lower case and its argument; blanks between them belong to neither."""
    verb, _, argument = line.partition(b" ")
    return verb.lower(), argument.lstrip(b" ")


def parameter(parameters: bytes, name: bytes) -> bytes | None:
    """The value of `name=value` among blank-separated parameters, None where it is not given."""
    for word in parameters.split():
        key, equals, value = word.partition(b"=")
        if equals and key.lower() == name:
            return value
    return None


def parameters(text: bytes) -> dict[bytes, bytes | None]:
    """All parameters in `text` by their names in lower case, with None for the value of one that has no `=`.

    Raises SyntaxFault where one is given twice (RFC 3461 section 4).
    """
    given: dict[bytes, bytes | None] = {}
    for word in text.split():
        key, equals, value = word.partition(b"=")
        key = key.lower()
        if key in given:
            raise SyntaxFault
        given[key] = value if equals else None
    return given
