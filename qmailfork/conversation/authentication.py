"""AUTH (RFC 4954): PLAIN (RFC 4616), LOGIN and CRAM-MD5 (RFC 2195), judged by a checkpassword program.

A password lives in one local name here and in the request that carries it to the program: it is in no event, no
variable and no argument.
"""

from binascii import Error, a2b_base64, b2a_base64

from qmailfork.conversation.checking import Hangup
from qmailfork.conversation.requests import Entrust, Wait
from qmailfork.conversation.session import Session
from qmailfork.programs import events
from qmailfork.programs.outcome import EXITED, SIGNALLED, UNSTARTED, Outcome
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.conversation.requests import Asking

TEMPORARY = (2, 111, 126, 127)  # checkpassword(8): misused, in trouble; and a shell that cannot start it
_FAILED = {SIGNALLED: b"Signal", UNSTARTED: b"Exec"}


class Auth:
    """How clients say who they are (qmailfork-control(5)).

    `mechanisms` are offered, in capitals; none where there is nothing to judge them. `required` before any mail;
    `in_plain` without TLS, too. `program` is the checkpassword program with its arguments, which has `seconds`; each
    failure costs the client `delay` seconds, the last of `tries` the connection. `nonce` makes a new challenge.
    """

    __slots__ = ("delay", "in_plain", "mechanisms", "nonce", "program", "required", "seconds", "tries")

    delay: float
    in_plain: bool
    mechanisms: tuple[bytes, ...]
    nonce: "Callable[[], bytes]"
    program: list[bytes]
    required: bool
    seconds: float
    tries: int


class Fault(Exception):
    """The client did not keep to the exchange; `args[0]` is the reply."""


class Credentials:
    """What a client says of itself: `user`, and the `proof`, a password or a digest of it and the `challenge`."""

    __slots__ = ("challenge", "proof", "user")

    def __init__(self, user: bytes, proof: bytes, challenge: bytes = b"") -> None:
        self.user = user
        self.proof = proof
        self.challenge = challenge


def offered(session: Session, auth: Auth) -> tuple[bytes, ...]:
    """EHLO's line, where the client may still say who it is."""
    if not auth.mechanisms or session.user is not None or not _permitted(session, auth):
        return ()
    return (b" ".join((b"AUTH", *auth.mechanisms)),)


def _permitted(session: Session, auth: Auth) -> bool:
    return session.secured or auth.in_plain


def accept(session: Session, auth: Auth, argument: bytes) -> "Asking[bytes]":
    """The reply to AUTH. Raises Gone, Late, Overlong; Hangup after too many failures."""
    mechanism, _, initial = argument.partition(b" ")
    mechanism = mechanism.upper()
    refusal = _refusal(session, auth, mechanism)
    if refusal:
        return refusal
    try:
        credentials = yield from _EXCHANGES[mechanism](session, initial.strip(b" "), auth)
    except Fault as fault:
        yield from session.say(3, b"authentication exchange broken off")
        return fault.args[0]  # type: ignore[no-any-return]  # a reply
    return (yield from _judge(session, auth, mechanism.lower(), credentials))


def _refusal(session: Session, auth: Auth, mechanism: bytes) -> bytes:
    """The reply where it cannot even begin, empty where it can."""
    if session.user is not None:
        return replies.AUTHENTICATED
    if not mechanism:
        return replies.NO_MECHANISM
    if not _permitted(session, auth):
        return replies.AUTH_IN_PLAIN
    return b"" if mechanism in auth.mechanisms else replies.UNKNOWN_MECHANISM


def _login(session: Session, initial: bytes, auth: Auth) -> "Asking[Credentials]":
    """Not in any RFC: the user name, which may come with AUTH, then the password."""
    user = _decoded(initial) if initial else (yield from _ask(session, b"Username:"))
    return Credentials(user, (yield from _ask(session, b"Password:")))


def _plain(session: Session, initial: bytes, auth: Auth) -> "Asking[Credentials]":
    said = _decoded(initial) if initial else (yield from _ask(session, b""))
    parts = said.split(b"\0")
    if len(parts) != 3:
        raise Fault(replies.MALFORMED_AUTH)
    role, user, password = parts
    if role not in (b"", user):  # nobody acts for somebody else here
        raise Fault(replies.AUTH_FAILED)
    return Credentials(user, password)


def _cram_md5(session: Session, initial: bytes, auth: Auth) -> "Asking[Credentials]":
    if initial:
        raise Fault(replies.MALFORMED_AUTH)  # RFC 4954 section 4: the server speaks first
    challenge = b"<%b@%b>" % (auth.nonce(), session.settings.greeting.split(b" ")[0])
    user, _, digest = (yield from _ask(session, challenge)).rpartition(b" ")
    return Credentials(user, digest, challenge)


_EXCHANGES: "dict[bytes, Callable[[Session, bytes, Auth], Asking[Credentials]]]" = {
    b"LOGIN": _login,
    b"PLAIN": _plain,
    b"CRAM-MD5": _cram_md5,
}
MECHANISMS = tuple(_EXCHANGES)


def _ask(session: Session, challenge: bytes) -> "Asking[bytes]":
    """What the client says to a `challenge`. Raises Fault where it breaks off."""
    session.owed.append(b"334 " + b2a_base64(challenge, newline=False) + b"\r\n")
    line = yield from session.line()
    if line == b"*":
        raise Fault(replies.AUTH_CANCELLED)
    return _decoded(line)


def _decoded(text: bytes) -> bytes:
    """What base64 `text` stands for; `=` is nothing (RFC 4954 section 4). Raises Fault."""
    try:
        return a2b_base64(b"" if text == b"=" else text, strict_mode=True)
    except Error:
        raise Fault(replies.MALFORMED_AUTH) from None


def _judge(session: Session, auth: Auth, method: bytes, credentials: Credentials) -> "Asking[bytes]":
    """Let the checkpassword program decide."""
    fields = (credentials.user, credentials.proof, credentials.challenge)
    secret = b"\0".join((*fields, b""))
    if not credentials.user or not credentials.proof or secret.count(b"\0") != 3 or len(secret) > Entrust.MOST:
        return replies.MALFORMED_AUTH
    outcome = yield Entrust(auth.program, session.variables, auth.seconds, secret)
    del secret, fields
    if outcome.how != EXITED or outcome.code in TEMPORARY:
        yield session.note(events.checkpassword_failed(auth.program[0], _condition(outcome)))
        return replies.AUTH_TROUBLE
    if outcome.code:
        return (yield from _refuse(session, auth, method, credentials.user))
    return (yield from _welcome(session, method, credentials.user))


def _condition(outcome: Outcome) -> bytes:
    """The log's word for how the program failed."""
    return b"%d" % outcome.code if outcome.how == EXITED else _FAILED.get(outcome.how, b"Timeout")


def _refuse(session: Session, auth: Auth, method: bytes, user: bytes) -> "Asking[bytes]":
    """A wrong user or password: it is slow, and there are only so many of them. Raises Hangup."""
    session.failures += 1
    note = session.note(events.not_authenticated(method, user))
    note.event.protocol += b"A"  # as spamcontrol has it
    yield note
    if auth.delay:
        yield Wait(session.due(), auth.delay)
    if session.failures >= auth.tries:
        yield session.note(events.too_many_failures(session.failures))
        session.owed.append(replies.AUTH_FAILED)
        raise Hangup
    return replies.AUTH_FAILED


def _welcome(session: Session, method: bytes, user: bytes) -> "Asking[bytes]":
    """The client is a relay client from here on."""
    session.authenticate(method, user)
    yield session.note(events.authenticated(method, user))
    yield from session.remind()
    return replies.AUTH_ACCEPTED
