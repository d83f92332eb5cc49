"""AUTH of ours in front of a wrapped smtpd that has none: the client logs in here, and the smtpd starts anew.

RELAYCLIENT is what tells a qmail-smtpd that a client may relay, and it reads its environment when it starts.
"""

from qmailfork.conversation import authentication
from qmailfork.conversation.authentication import Auth
from qmailfork.conversation.session import Session
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.child import Child
    from qmailfork.conversation.requests import Asking


def offer(session: Session, auth: Auth, reply: bytes) -> bytes:
    """The wrapped smtpd's `reply` to EHLO with our AUTH in the place of its own."""
    first, *texts = [line[4:] for line in reply.split(b"\r\n")[:-1]]
    kept = [text for text in texts if text.upper().replace(b"=", b" ").split(b" ")[0] != b"AUTH"]
    return replies.lines(b"250", (first, *kept, *authentication.offered(session, auth)))


def accept(child: "Child", auth: Auth, argument: bytes) -> "Asking[bytes]":
    """The reply to AUTH. Raises as authentication.accept; Lost where the smtpd does not come back."""
    reply = yield from authentication.accept(child.session, auth, argument)
    if replies.is_positive(reply):
        yield from child.again()
    return reply
