"""Log events, and the lines that spamcontrol and qmail-ldap write for them.

Sources: spamcontrol 2.7.33 (smtpdlog.c, LOGGING.spamcontrol) and qmail-ldap (qmail-smtpd.c, QLDAPINSTALL). Their
values are written raw; here no octet from outside can forge a field or a line.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.programs.outcome import Outcome
    from qmailfork.programs.verdict import Checker

    Check = tuple[Checker, Outcome]
    Style = Callable[[int, "Event"], bytes]

LONGEST = 255  # octets of one value
_CLEAN = bytes(octet if 33 <= octet <= 126 and octet != ord("'") else ord("?") for octet in range(256))

HOST, ENVELOPE, UNSAID = "host", "envelope", ""  # spamcontrol's shapes: up to H:, up to T:, or no line at all
TLS, AUTH = "!=", "?="  # up to S:, then this sign before the information


class Event:
    """One thing worth a line.

    `condition` is Action::Type::Condition, as spamcontrol has it or would; `shape` says what its line shows, `info`
    is the quoted information at its end (None: none). `level` and `words` are qmail-ldap's (programs/events.py).
    The rest is the session as it stood, the `reply` that was given, and the `checks` that led to it. `session` is the
    session's name (empty: none) and `number` the recipient's in it that this is about (programs/decision.py).
    """

    __slots__ = (
        "checks", "condition", "helo", "host", "info", "ip", "level", "number", "protocol", "recipient", "reply",
        "sender", "session", "shape", "words",
    )  # fmt: skip

    def __init__(
        self,
        condition: bytes,
        shape: str,
        info: bytes | None,
        level: int,
        words: bytes,
        reply: bytes = b"",
        recipient: bytes = b"",
        checks: "list[Check] | None" = None,
    ) -> None:
        self.condition = condition
        self.shape = shape
        self.info = info
        self.level = level
        self.words = words
        self.reply = reply
        self.recipient = recipient
        self.checks = checks or []
        self.protocol = self.ip = self.host = self.helo = self.sender = self.session = b""
        self.number = 0


def clean(value: bytes) -> bytes:
    """`value` fit for a log line: printable, without blanks and quotes, at most LONGEST octets and `...`."""
    if len(value) > LONGEST:
        value = value[:LONGEST] + b"..."
    return value.translate(_CLEAN)


def spamcontrol(number: int, event: Event) -> bytes:
    """spamcontrol's line (smtpdlog.c); `number` is the session's process id."""
    if event.shape == UNSAID:
        return b""
    line = b"qmail-smtpd: pid %d %b P:%b S:%b:%b" % (
        number,
        event.condition,
        event.protocol,
        clean(event.ip),
        clean(event.host),
    )
    if event.shape in (TLS, AUTH):
        line += b" " + event.shape.encode()
    else:
        line += b" H:" + clean(event.helo)
    if event.shape == ENVELOPE:
        line += b" F:%b T:%b" % (clean(event.sender), clean(event.recipient))
    if event.info is not None:
        line += b" '%b'" % clean(event.info)
    return line + b"\n"


def qmail_ldap(loglevel: int) -> "Style":
    """qmail-ldap's lines up to `loglevel` (its LOGLEVEL, 0 to 4; 0 is silent)."""

    def line(number: int, event: Event) -> bytes:
        return b"qmail-smtpd %d: %b\n" % (number, event.words) if event.level <= loglevel else b""

    return line
