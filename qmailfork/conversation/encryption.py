"""STARTTLS (RFC 3207): whether it is offered, how it is come to, and what it makes of the session."""

from qmailfork.conversation.requests import Insecure, StartTls
from qmailfork.conversation.session import Gone, Session
from qmailfork.conversation.settings import Tls
from qmailfork.programs import events
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking


def offered(session: Session, tls: Tls) -> "Asking[bool]":
    """Whether EHLO tells of STARTTLS; a certificate that cannot be used is logged once."""
    if session.secured or tls.barred or session.user is not None:
        return False
    reason = tls.fault()
    if reason:
        yield from _complain(session, reason)
    return not reason


def _complain(session: Session, reason: bytes) -> "Asking[None]":
    """Log once in a session why there is no TLS, however often the client asks."""
    if not session.complained:
        session.complained = True
        yield session.note(events.tls_unusable(reason))


def start(session: Session, argument: bytes) -> "Asking[bytes]":
    """The reply to STARTTLS, empty where it was given before the handshake. Raises Gone where that fails."""
    tls = session.settings.tls
    if tls is None or tls.barred:
        yield from session.say(3, b"refused: STARTTLS")
        return replies.UNIMPLEMENTED
    if session.secured:
        return replies.TLS_ACTIVE
    if session.user is not None:  # RFC 3207 section 4.2 would have it forgotten
        return replies.AUTHENTICATED
    if argument:
        return replies.NO_PARAMETERS
    return (yield from _begin(session, tls, replies.TLS_GO_AHEAD))


def at_once(session: Session, tls: Tls) -> "Asking[bool]":
    """TLS with the first octet (RFC 8314): whether it came to it; otherwise there is nobody to speak with."""
    try:
        return not (yield from _begin(session, tls, b""))
    except Gone:
        return False


def _begin(session: Session, tls: Tls, ready: bytes) -> "Asking[bytes]":
    answer = yield StartTls(b"".join(session.owed) + ready, session.settings.seconds, tls)
    if isinstance(answer, Insecure):
        if not answer.begun:
            yield from _complain(session, answer.reason)
            return replies.TLS_NOT_READY
        yield session.note(events.tls_failed(answer.reason))
        raise Gone
    session.owed.clear()
    dropped = session.restart()
    session.secure(answer.facts)
    yield session.note(events.tls_begun(answer.facts))
    if dropped:
        yield session.note(events.tls_injected(dropped))
    yield from _recognize(session, tls, answer.facts.get(b"SSL_CLIENT_S_DN_Email", b""))
    return b""


def _recognize(session: Session, tls: Tls, name: bytes) -> "Asking[None]":
    """A client whose certificate names an address in tlsclients relays."""
    if name and name.lower() in tls.clients and session.settings.relay_suffix is None:
        session.user = name
        session.admit()
        yield session.note(events.authenticated(b"cert", name))
        yield from session.remind()
