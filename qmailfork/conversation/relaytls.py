"""STARTTLS in front of a wrapped smtpd: ours, or one that the site lets through to it.

With ours the smtpd hears plain SMTP, and starts anew after the handshake: what was said in plain is forgotten there as
well, and its environment tells of TLS. Variables by which it would want TLS of its own are kept from it.
"""

from qmailfork.conversation import encryption
from qmailfork.conversation.requests import Tunnel
from qmailfork.conversation.session import Gone, Session
from qmailfork.conversation.settings import Tls
from qmailfork.programs import events
from qmailfork.smtp import replies
from qmailfork.smtp.commands import STARTTLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.child import Child
    from qmailfork.conversation.requests import Asking
    from qmailfork.programs.verdict import Variables

KEPT: "Variables" = dict.fromkeys(
    (b"SMTPS", b"UCSPITLS", b"FORCETLS", b"TLSREQUIRED", b"SSLCTLFD", b"SSLREADFD", b"SSLWRITEFD")
)


def variables(session: Session) -> "Variables":
    """What the wrapped smtpd's environment has over the session's."""
    tls = session.settings.tls
    return {} if tls is None or tls.done or not is_ours(session) else KEPT


def is_ours(session: Session) -> bool:
    """Whether STARTTLS is not the wrapped smtpd's affair."""
    return session.secured or STARTTLS not in session.settings.blind


def offer(session: Session, tls: Tls, reply: bytes) -> "Asking[bytes]":
    """The wrapped smtpd's `reply` to EHLO with our STARTTLS, where it can be had."""
    if not is_ours(session) or not (yield from encryption.offered(session, tls)):
        return reply
    texts = [line[4:] for line in reply.split(b"\r\n")[:-1]]
    return replies.lines(b"250", (*texts, b"STARTTLS"))


def start(child: "Child", line: bytes, argument: bytes) -> "Asking[bytes]":
    """The reply to STARTTLS, which is the command `line`. Raises Gone; Lost where the smtpd does not come back."""
    session = child.session
    if not is_ours(session):
        return (yield from _go_blind(child, line))
    was_secured = session.secured
    reply = yield from encryption.start(session, argument)
    if session.secured and not was_secured:
        yield from child.again()
    return reply


def _go_blind(child: "Child", line: bytes) -> "Asking[bytes]":
    """From here on nothing is seen, and nothing checked."""
    session = child.session
    reply = yield from child.ask(line)
    if not replies.is_positive(reply):
        return reply
    yield session.note(events.child_blind())
    yield Tunnel(reply, session.settings.seconds)
    raise Gone
