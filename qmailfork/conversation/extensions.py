"""Extensions that a site turns on (QMAILFORK_EXTENSIONS, qmailfork-control(5)): what MAIL and RCPT may say for them.

What a client says there is checked here and becomes variables for the programs that are asked about the message, and
for the queue: REMOTERET, REMOTEENVID, REMOTENOTIFY, REMOTEORCPT (RFC 3461) and REMOTEUTF8 (RFC 6531). One that the
client does not give is taken out of their environment.
"""

from qmailfork.conversation.session import Session
from qmailfork.conversation.settings import CHUNKING, DSN, EXTENSIONS, SMTPUTF8
from qmailfork.programs import refusals
from qmailfork.smtp import commands, notification, replies
from qmailfork.smtp.address import SyntaxFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.conversation.requests import Asking
    from qmailfork.programs.verdict import Variables

    Read = Callable[[Session, bytes, dict[bytes, bytes | None]], Variables]

UTF8 = b"REMOTEUTF8"


def offered(session: Session) -> tuple[bytes, ...]:
    """What EHLO tells of them."""
    return tuple([word.upper() for word in EXTENSIONS if word in session.settings.extensions])


def limits(session: Session) -> tuple[bytes, ...]:
    """RFC 9422: the limits of a session that a client may go by, which is MAXRECIPIENTS alone."""
    most = most_recipients(session)
    return (b"LIMITS RCPTMAX=%d" % most,) if most else ()


def most_recipients(session: Session) -> int:
    """MAXRECIPIENTS, where it is of a size that can be told (0: it is not)."""
    switches = session.settings.switches
    most = switches.most_recipients if switches else 0
    return most if most < 10**6 else 0  # RFC 9422 section 4.2 allows six digits


def mail(session: Session, sender: bytes, parameters: bytes) -> "Asking[Variables | bytes]":
    """What the `parameters` of MAIL mean to programs, or the reply that refuses them."""
    found = _read(session, _of_mail, sender, parameters)
    if isinstance(found, bytes):
        yield session.note(refusals.bad_parameter(None, parameters, found), sender)
    return found


def recipient(session: Session, address: bytes, parameters: bytes) -> "Asking[Variables | bytes]":
    """What the `parameters` of RCPT mean to programs, or the reply that refuses them."""
    found = _read(session, _of_recipient, address, parameters)
    if isinstance(found, bytes):
        yield session.note(refusals.bad_parameter(address, parameters, found))
    return found


class _Refusal(Exception):
    def __init__(self, reply: bytes) -> None:
        self.reply = reply


def _read(session: Session, read: "Read", address: bytes, parameters: bytes) -> "Variables | bytes":
    try:
        return read(session, address, commands.parameters(parameters))
    except SyntaxFault:
        return replies.BAD_PARAMETER
    except _Refusal as refusal:
        return refusal.reply


def _of_mail(session: Session, sender: bytes, given: "dict[bytes, bytes | None]") -> "Variables":
    extensions = session.settings.extensions
    facts: Variables = {}
    if CHUNKING in extensions and (given.get(b"body") or b"").lower() == b"binarymime":
        raise SyntaxFault  # RFC 3030 section 3: not without an offer
    if SMTPUTF8 in extensions:
        if given.get(b"smtputf8") is not None:
            raise SyntaxFault  # RFC 6531 section 3.1: the parameter has no value
        facts[UTF8] = b"1" if b"smtputf8" in given else None
        _known_script(sender, b"smtputf8" in given)
    if DSN in extensions:
        facts[b"REMOTERET"] = notification.returned(given)
        facts[b"REMOTEENVID"] = notification.identifier(given)
    return facts


def _of_recipient(session: Session, address: bytes, given: "dict[bytes, bytes | None]") -> "Variables":
    extensions = session.settings.extensions
    facts: Variables = {}
    utf8 = session.facts.get(UTF8) is not None
    if SMTPUTF8 in extensions:
        _known_script(address, utf8)
    if DSN in extensions:
        facts[b"REMOTENOTIFY"] = notification.occasions(given)
        facts[b"REMOTEORCPT"] = notification.original(given, utf8)
    return facts


def _known_script(address: bytes, utf8: bool) -> None:
    """RFC 6531 section 3: beyond ASCII only where MAIL said so, and then in UTF-8."""
    if address.isascii():
        return
    if not utf8:
        raise _Refusal(replies.ASCII_ONLY)
    if not notification.is_utf8(address):
        raise _Refusal(replies.SYNTAX)
