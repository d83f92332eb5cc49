"""MAIL: the sender, its parameters, and what refuses either before any recipient is named."""

from qmailfork.conversation import policy
from qmailfork.conversation.session import Session
from qmailfork.programs import events
from qmailfork.smtp import address, commands, replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking
    from qmailfork.programs.verdict import Variables

    Origin = tuple[bytes, int, bytes, Variables]  # sender, size, parameters, facts


def accept(session: Session, argument: bytes) -> "Asking[bytes]":
    """The reply to MAIL with this `argument`."""
    found = yield from admit(session, argument)
    if isinstance(found, bytes):
        return found
    sender, size, _, facts = found
    yield from begin(session, sender, size, facts)
    return replies.OK


def begin(session: Session, sender: bytes, size: int, facts: "Variables") -> "Asking[None]":
    """The sender is accepted: a new transaction."""
    session.begin(sender, size, facts)
    if session.settings.loglevel >= 2:
        yield session.note(events.sender_accepted(sender))


def admit(session: Session, argument: bytes, keeps_tls: bool = False) -> "Asking[Origin | bytes]":
    """The sender that MAIL names, the size it announces, its parameters, and what programs find of them; or the reply
    that refuses it. `keeps_tls` where RFC 8689's promise can be given.
    """
    refusal = (yield from _in_plain(session)) or (yield from _unidentified(session))
    if refusal:
        return refusal
    found = yield from _read(session, argument)
    if isinstance(found, bytes):
        return found
    sender, size, parameters = found
    if not keeps_tls and b"requiretls" in parameters.lower().split():
        yield from session.say(3, b"refused: MAIL with REQUIRETLS")
        return replies.NO_REQUIRETLS
    facts = yield from _told(session, sender, parameters)
    return facts if isinstance(facts, bytes) else (sender, size, parameters, facts)


def _read(session: Session, argument: bytes) -> "Asking[tuple[bytes, int, bytes] | bytes]":
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


def _told(session: Session, sender: bytes, parameters: bytes) -> "Asking[Variables | bytes]":
    """What programs find of the parameters of MAIL, or the reply that refuses them."""
    if not session.settings.extensions:
        return {}
    from qmailfork.conversation import extensions  # noqa: PLC0415  # few sites turn one on

    return (yield from extensions.mail(session, sender, parameters))


def _in_plain(session: Session) -> "Asking[bytes]":
    """The refusal of MAIL where TLS is required and there is none, empty elsewhere."""
    tls = session.settings.tls
    if not tls or not tls.required or session.secured:
        return b""
    yield session.note(events.tls_missing())
    return replies.TLS_REQUIRED


def _unidentified(session: Session) -> "Asking[bytes]":
    """The refusal of MAIL from a client that has yet to say who it is, empty where it need not."""
    if not session.settings.auth or not session.settings.auth.required or session.user is not None:
        return b""
    yield session.note(events.auth_missing())
    return replies.AUTH_REQUIRED
