"""AUTH in wrap mode: of the wrapped smtpd's own, or of ours, and then the smtpd starts anew for the client.

RELAYCLIENT is what tells a qmail-smtpd that a client may relay, and it reads its environment when it starts.
"""

from qmailfork.conversation import authentication
from qmailfork.conversation.authentication import Auth
from qmailfork.conversation.session import Session
from qmailfork.smtp import client, replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.child import Child
    from qmailfork.conversation.requests import Asking

CANCEL = b"*"  # RFC 4954 section 4


def offer(session: Session, auth: Auth, reply: bytes) -> bytes:
    """The wrapped smtpd's `reply` to EHLO with our AUTH in the place of its own."""
    first, *texts = [line[4:] for line in reply.split(b"\r\n")[:-1]]
    kept = [text for text in texts if text.upper().replace(b"=", b" ").split(b" ")[0] != b"AUTH"]
    return replies.lines(b"250", (first, *kept, *authentication.offered(session, auth)))


def accept(child: "Child", auth: Auth, argument: bytes) -> "Asking[bytes]":
    """The reply to an AUTH of ours. Raises as authentication.accept; Lost, Closed."""
    reply = yield from authentication.accept(child.session, auth, argument)
    if replies.is_positive(reply):
        yield from child.again()
    return reply


def hand_on(child: "Child", line: bytes) -> "Asking[bytes]":
    """The wrapped smtpd's reply to AUTH, which is the command `line`. Raises Gone, Late; Lost, Closed.

    The dialogue is between client and child, and nothing of it is kept or logged.
    """
    session = child.session
    reply = yield from child.ask(line)
    while reply.startswith(client.LOGIN):
        session.owed.append(reply)
        said = yield from session.line()
        reply = yield from child.ask(said if said == client.clean(said) else CANCEL)
    if reply.startswith(client.LOGGED_IN):
        session.user = b""  # it knows who
        session.admit()
        yield from session.remind()
    return reply
