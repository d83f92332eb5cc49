"""MAIL: the sender, its parameters, and what refuses either before any recipient is named."""

from qmailfork.conversation import policy
from qmailfork.conversation.session import Session
from qmailfork.programs import events
from qmailfork.smtp import address, commands, replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking
    from qmailfork.programs.verdict import Variables


def admit(session: Session, argument: bytes) -> "Asking[tuple[bytes, int, bytes] | bytes]":
    """The sender that MAIL names, the size it announces and its parameters; or the reply that refuses it.

    RFC 1870: a size that is announced above databytes is refused here.
    """
    try:
        sender, parameters = address.parse(argument)
        sender = policy.localized(session.settings, sender)
        size = commands.parameter(parameters, b"size")
        size = b"0" if size is None else size
        if not size.isdigit() or len(size) > 20:
            raise address.SyntaxFault
    except address.SyntaxFault:
        yield from session.say(3, b"RFC2821 syntax error in mail from: ", argument)
        return replies.SYNTAX
    if 0 < session.settings.databytes < int(size):
        return (yield from session.refuse(events.too_big(b"", announced=True), sender))
    return sender, int(size), parameters


def requires_tls(parameters: bytes) -> bool:
    """Whether MAIL asks for what only RFC 8689 can promise."""
    return bool(parameters) and b"requiretls" in parameters.lower().split()


def told(session: Session, sender: bytes, parameters: bytes) -> "Asking[Variables | bytes]":
    """What programs find of the parameters of MAIL, or the reply that refuses them."""
    if not session.settings.extensions:
        return {}
    from qmailfork.conversation import extensions  # noqa: PLC0415  # few sites turn one on

    return (yield from extensions.mail(session, sender, parameters))


def in_plain(session: Session) -> "Asking[bytes]":
    """The refusal of MAIL where TLS is required and there is none, empty elsewhere."""
    tls = session.settings.tls
    if not tls or not tls.required or session.secured:
        return b""
    yield session.note(events.tls_missing())
    return replies.TLS_REQUIRED


def unidentified(session: Session) -> "Asking[bytes]":
    """The refusal of MAIL from a client that has yet to say who it is, empty where it need not."""
    if not session.settings.auth or not session.settings.auth.required or session.user is not None:
        return b""
    yield session.note(events.auth_missing())
    return replies.AUTH_REQUIRED


def accept(session: Session, argument: bytes) -> "Asking[bytes]":
    """The reply to MAIL with this `argument`."""
    refusal = (yield from in_plain(session)) or (yield from unidentified(session))
    if refusal:
        return refusal
    found = yield from admit(session, argument)
    if isinstance(found, bytes):
        return found
    sender, size, parameters = found
    if requires_tls(parameters):
        yield from session.say(3, b"refused: MAIL with REQUIRETLS")
        return replies.NO_REQUIRETLS
    facts = yield from told(session, sender, parameters)
    if isinstance(facts, bytes):
        return facts
    yield from begin(session, sender, size, facts)
    return replies.OK


def begin(session: Session, sender: bytes, size: int, facts: "Variables") -> "Asking[None]":
    """The sender is accepted: a new transaction."""
    session.begin(sender, size, facts)
    if session.settings.loglevel >= 2:
        yield session.note(events.sender_accepted(sender))
