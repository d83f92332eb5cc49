"""Every sentence the server says, once (qmail-smtpd's words; RFC 5321 section 4.2 for the form).

A reply is a `bytes` of one or more lines, each ended by CR LF.
"""

OK = b"250 ok\r\n"
FLUSHED = b"250 flushed\r\n"
VERIFY = b"252 send some mail, i'll try my best\r\n"
HELP = b"214 qmailfork: a qmail-smtpd that forks your checkers; see qmailfork-smtpd(8)\r\n"
GO_AHEAD = b"354 go ahead\r\n"

TLS_GO_AHEAD = b"220 ready for TLS\r\n"

AUTH_ACCEPTED = b"235 ok, go ahead (#2.7.0)\r\n"

TOO_MANY = b"421 too many connections from your address (#4.7.0)\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"
CHILD_LOST = b"421 unable to speak with the mail server behind (#4.3.0)\r\n"
NO_MAILBOX_YET = b"450 sorry, mailbox currently unavailable (#4.2.1)\r\n"
DNS_LATER = b"451 DNS temporary failure (#4.3.0)\r\n"
MAILBOX_LATER = b"451 unable to check recipients (#4.3.0)\r\n"
TIMEOUT = b"451 timeout (#4.4.2)\r\n"
STRAY_NEWLINE = b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"
TOO_MANY_RECIPIENTS = b"452 sorry, too many recipients (#4.5.3)\r\n"
TLS_NOT_READY = b"454 TLS not available (#4.7.0)\r\n"
AUTH_TROUBLE = b"454 oops, unable to check that now (#4.7.0)\r\n"
NO_QUEUE = b"451 qqt failure (#4.3.0)\r\n"

BAD_PARAMETER = b"501 syntax error in parameters (#5.5.4)\r\n"
NO_COUNT = b"501 syntax error in BDAT, closing connection (#5.5.4)\r\n"
NO_PARAMETERS = b"501 no parameters allowed (#5.5.4)\r\n"
AUTH_CANCELLED = b"501 auth exchange cancelled (#5.7.0)\r\n"
MALFORMED_AUTH = b"501 malformed auth input (#5.5.2)\r\n"
NO_MECHANISM = b"501 auth by what? (#5.5.4)\r\n"
TOO_LONG = b"500 line too long (#5.5.2)\r\n"
UNIMPLEMENTED = b"502 unimplemented (#5.5.1)\r\n"
MAIL_FIRST = b"503 MAIL first (#5.5.1)\r\n"
RCPT_FIRST = b"503 RCPT first (#5.5.1)\r\n"
IN_CHUNKS = b"503 BDAT is under way (#5.5.1)\r\n"
TLS_ACTIVE = b"503 TLS is active already (#5.5.1)\r\n"
AUTHENTICATED = b"503 you're already authenticated (#5.5.1)\r\n"
AUTH_IN_MAIL = b"503 no auth during mail transaction (#5.5.1)\r\n"
UNKNOWN_MECHANISM = b"504 auth type unimplemented (#5.5.4)\r\n"
AUTH_REQUIRED = b"530 authentication required (#5.7.0)\r\n"
AUTH_FAILED = b"535 authentication failed (#5.7.8)\r\n"
TLS_REQUIRED = b"535 STARTTLS required (#5.7.1)\r\n"
AUTH_IN_PLAIN = b"538 encryption required, STARTTLS first (#5.7.11)\r\n"
BAD_NAME = b"550 sorry, invalid HELO/EHLO greeting (#5.7.1)\r\n"
NO_MAILBOX = b"550 sorry, no mailbox by that name (#5.7.1)\r\n"
TOO_BIG = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
BAD_SENDER = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)\r\n"
BAD_RECIPIENT = b"553 sorry, your envelope recipient is in my badrcptto list (#5.7.1)\r\n"
NOT_OWN_SENDER = b"553 sorry, invalid sender address specified (#5.7.1)\r\n"
NO_SUCH_SENDER = b"553 sorry, your envelope sender must exist (#5.7.1)\r\n"
ASCII_ONLY = b"553 sorry, an address beyond ASCII needs SMTPUTF8 (#5.6.7)\r\n"
NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"
EARLY = b"554 sorry, you spoke before my greeting (#5.5.1)\r\n"
LOOPING = b"554 too many hops, this message is looping (#5.4.6)\r\n"
NO_REQUIRETLS = b"555 sorry, REQUIRETLS is not offered here (#5.5.4)\r\n"
SYNTAX = b"555 syntax error (#5.5.4)\r\n"


def greeting(name: bytes) -> bytes:
    """The first line of a session, for the host `name`."""
    return b"220 %b ESMTP\r\n" % name


def hello(name: bytes) -> bytes:
    """The answer to HELO."""
    return b"250 %b\r\n" % name


def extended_hello(name: bytes, extensions: tuple[bytes, ...]) -> bytes:
    """The answer to EHLO: `name` and one line for each of the `extensions`."""
    return lines(b"250", (name, *extensions))


def closing(name: bytes) -> bytes:
    """The answer to QUIT."""
    return b"221 %b\r\n" % name


def octets(count: int) -> bytes:
    """A chunk of so many octets was taken (RFC 3030 section 2)."""
    return b"250 ok %d octets\r\n" % count


def queued(when: int, qp: int) -> bytes:
    """A message is in the queue: `when` in Unix seconds, `qp` the queue program's process id."""
    return b"250 ok %d qp %d\r\n" % (when, qp)


def local_policy(code: bytes) -> bytes:
    """The patch's own sentence for a refused recipient (README.smtpextfork), without the code."""
    kind = b"temporary" if code.startswith(b"4") else b"permanent"
    return b"sorry, %b envelope failure due to local policy" % kind


def lines(code: bytes, texts: tuple[bytes, ...]) -> bytes:
    """One reply with `code` before each of the `texts` (RFC 5321 section 4.2.1)."""
    first = b"".join([b"%b-%b\r\n" % (code, text) for text in texts[:-1]])
    return b"%b%b %b\r\n" % (first, code, texts[-1])


LONGEST_TEXT = 400  # octets of a text that a checker gives
_PLAIN = bytes(octet if 32 <= octet <= 126 else ord("?") for octet in range(256))


def plain(text: bytes) -> bytes:
    """`text` from elsewhere as it may stand in a reply: printable ASCII, at most LONGEST_TEXT octets."""
    return text.replace(b"\t", b" ").strip()[:LONGEST_TEXT].translate(_PLAIN)


def is_refusal(code: bytes) -> bool:
    """True for the reply codes 400 to 599."""
    return len(code) == 3 and code.isdigit() and code[:1] in (b"4", b"5")


def refusal(line: bytes) -> tuple[bytes, bytes] | None:
    """Code and plain text of one line that is a refusal's whole reply, None for any other line."""
    if is_refusal(line[:3]) and line[3:4] in (b" ", b"-", b""):
        return line[:3], plain(line[4:])
    return None


def with_text(reply: bytes, text: bytes) -> bytes:
    """`reply`, a line that ends in an enhanced code in brackets, with the site's `text` before that."""
    words, _, code = reply.rpartition(b" (#")
    return b"%b %b (#%b" % (words, plain(text), code)


def is_positive(reply: bytes) -> bool:
    """True for 2xx and 3xx."""
    return reply[:1] in (b"2", b"3")
