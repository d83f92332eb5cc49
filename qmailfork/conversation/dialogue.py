"""The SMTP conversation: which verb is allowed when, and the generator that holds it.

The theory, as in qmail-smtpd: a session is FRESH until MAIL is accepted, then has a SENDER, then is READY once a
recipient is accepted. HELO, EHLO, RSET, STARTTLS and DATA make it FRESH again; DATA does so whatever became of the
message. Between the first BDAT and the last it is at CHUNKS (what BDAT leads to is in chunking.py). AUTH has its place
where it is FRESH. A MAIL that is refused changes nothing. STEPS is the whole of it: for each state and verb the next
state, which is entered when the reply is positive, or the reply that refuses the verb in that state.
"""

from qmailfork.conversation import checking, message, origin, recipient
from qmailfork.conversation.requests import Abandon, Ending
from qmailfork.conversation.session import CHUNKS, FRESH, READY, SENDER, Gone, Late, Overlong, Session
from qmailfork.conversation.settings import CHUNKING, ControlFault, Settings
from qmailfork.programs import events
from qmailfork.programs.peer import Peer
from qmailfork.smtp import commands, replies
from qmailfork.smtp.commands import AUTH, BDAT, DATA, EHLO, HELO, HELP, MAIL, NOOP, QUIT, RCPT, RSET, STARTTLS, VRFY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.conversation.requests import Asking, Note

_ANYWHERE: dict[bytes, str | bytes] = {HELO: FRESH, EHLO: FRESH, MAIL: SENDER, RSET: FRESH, STARTTLS: FRESH}
STEPS: dict[str, dict[bytes, str | bytes]] = {
    FRESH: {
        **_ANYWHERE, RCPT: replies.MAIL_FIRST, DATA: replies.MAIL_FIRST, BDAT: replies.MAIL_FIRST,
        NOOP: FRESH, VRFY: FRESH, HELP: FRESH, QUIT: FRESH, AUTH: FRESH,
    },
    SENDER: {
        **_ANYWHERE, RCPT: READY, DATA: replies.RCPT_FIRST, BDAT: replies.RCPT_FIRST,
        NOOP: SENDER, VRFY: SENDER, HELP: SENDER, QUIT: SENDER, AUTH: replies.AUTH_IN_MAIL,
    },
    READY: {
        **_ANYWHERE, RCPT: READY, DATA: FRESH, BDAT: CHUNKS,
        NOOP: READY, VRFY: READY, HELP: READY, QUIT: READY, AUTH: replies.AUTH_IN_MAIL,
    },
    CHUNKS: {
        HELO: FRESH, EHLO: FRESH, RSET: FRESH, BDAT: CHUNKS,
        **dict.fromkeys((MAIL, RCPT, DATA, STARTTLS), replies.IN_CHUNKS),
        NOOP: CHUNKS, VRFY: CHUNKS, HELP: CHUNKS, QUIT: CHUNKS, AUTH: replies.AUTH_IN_MAIL,
    },
}  # fmt: skip


def converse(settings: Settings, peer: Peer) -> "Asking[Ending]":
    """One session from greeting to end."""
    session = Session(settings, peer)
    yield from announce(session)
    if settings.tls and settings.tls.at_once and not (yield from secure(session)):
        return Ending(b"", 1)
    early = yield from early_talker(session)
    if early:
        return early
    session.owed.append(replies.greeting(settings.greeting))
    ending = yield from hold(session, lambda line: _obey(session, line))
    if session.chunked:
        yield Abandon()
    return ending


def early_talker(session: Session) -> "Asking[Ending | None]":
    """GREETDELAY: the end of a client that could not wait for its greeting, None for all others."""
    switches = session.settings.switches
    if switches is None or not switches.greet_delay or session.settings.relay_suffix is not None:
        return None
    from qmailfork.conversation import screening  # noqa: PLC0415  # few sites have set a switch

    return (yield from screening.hush(session, switches))


def hold(session: Session, obey: "Callable[[bytes], Asking[bytes]]") -> "Asking[Ending]":
    """Say to each line what `obey` says, up to the end."""
    try:
        while True:
            try:
                line = yield from session.line()
                session.deciding = 0
                reply = yield from obey(line)
            except Overlong:
                yield from session.say(3, b"command line too long")
                reply = replies.TOO_LONG
            session.owed.append(reply)
    except Quit as quitting:
        return _ending(session, quitting.reply, 0)
    except checking.Hangup:
        return _ending(session, b"", 0)
    except Gone:
        yield from session.say(1, b"read error or connection closed")
        return Ending(b"", 1)
    except Late:
        yield from session.say(1, b"connection timed out, closing connection")
        return Ending(replies.TIMEOUT, 1)
    except message.Unreadable as fault:
        return _ending(session, fault.reply, 1)
    except ControlFault as fault:
        yield session.note(events.controls(str(fault).encode(errors="surrogateescape")))
        return _ending(session, replies.NO_CONTROLS, 1)


class Quit(Exception):
    """QUIT was said, and this is the `reply`."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply


def _ending(session: Session, reply: bytes, status: int) -> Ending:
    return Ending(b"".join(session.owed) + reply, status)


def announce(session: Session) -> "Asking[None]":
    """Log what there is to say at the start."""
    settings, peer = session.settings, session.peer
    if settings.loglevel >= 2:
        yield session.note(events.connected(peer.ip, peer.host, peer.info, peer.local))
    yield from session.remind()


def _obey(session: Session, line: bytes) -> "Asking[bytes]":
    """The reply to one command line; the session's state follows it."""
    verb, argument = commands.split(line)
    if verb == AUTH:
        session.guarded = True
    step = _step(session, verb)
    if verb == BDAT and step != replies.UNIMPLEMENTED:
        from qmailfork.conversation import chunking  # noqa: PLC0415  # few sites turn it on

        return (yield from chunking.accept(session, argument, step))
    if b"\0" in line:
        yield from session.say(3, b"NUL in a command: ", tellable(session, line))
        return replies.SYNTAX
    if isinstance(step, bytes):
        yield from refused(session, line, step)
        return step
    held = yield from session.refuse_held(verb)
    if held:
        return held
    yield from heard(session, verb, argument)
    reply = yield from _HANDLERS[verb](session, argument)
    if session.chunked and step == FRESH:
        session.chunked = None
        yield Abandon()
    if verb == DATA or replies.is_positive(reply):
        session.state = step
    return reply


def _step(session: Session, verb: bytes) -> str | bytes:
    """What the table says of `verb`; one that the site has not turned on is unknown."""
    off = (verb == AUTH and not session.settings.auth) or (verb == BDAT and CHUNKING not in session.settings.extensions)
    return replies.UNIMPLEMENTED if off else STEPS[session.state].get(verb, replies.UNIMPLEMENTED)


def tellable(session: Session, line: bytes) -> bytes:
    """As much of a command `line` as the log may have: nothing of what can be a password."""
    return line if not session.guarded or commands.split(line)[0] in commands.SPOKEN else b"(not-told)"


def refused(session: Session, line: bytes, reply: bytes) -> "tuple[Note, ...]":
    """The request to log a command `line` that has no place here, as Session.say; `reply` tells the client so."""
    level, words = _OUT_OF_PLACE.get(reply, (3, b"refused: "))
    return session.say(level, words, tellable(session, line) if words.endswith(b" ") else b"")


def heard(session: Session, verb: bytes, argument: bytes) -> "tuple[Note, ...]":
    """The request to log a command that is obeyed, as Session.say; none for one that has lines of its own."""
    words = _OBEYED.get(verb)
    return session.say(4, words, argument if words.endswith(b" ") else b"") if words else ()


# qmail-ldap's words, with the command or its argument where they end in a blank
_OUT_OF_PLACE = {
    replies.UNIMPLEMENTED: (3, b"unrecognized command: "),
    replies.MAIL_FIRST: (4, b"'mail from' first"),
    replies.RCPT_FIRST: (4, b"'rcpt to' first"),
}
_OBEYED = {
    HELO: b"remote helo: ", EHLO: b"remote ehlo: ", RSET: b"remote rset", NOOP: b"'noop'", VRFY: b"vrfy for: ",
    HELP: b"help requested", QUIT: b"quit, closing connection",
}  # fmt: skip


def greeted(session: Session, argument: bytes, extended: bool) -> None:
    """HELO or EHLO was accepted."""
    session.helo, session.extended, session.held = argument, extended, {}


def secure(session: Session) -> "Asking[bool]":
    """TLS with the first octet, where it is not there already: whether it came to it."""
    from qmailfork.conversation import encryption  # noqa: PLC0415  # a session in plain has no use for it

    tls = session.settings.tls
    return not tls or session.secured or (yield from encryption.at_once(session, tls))


def _start_tls(session: Session, argument: bytes) -> "Asking[bytes]":
    from qmailfork.conversation import encryption  # noqa: PLC0415  # likewise

    return (yield from encryption.start(session, argument))


def _authenticate(session: Session, argument: bytes) -> "Asking[bytes]":
    from qmailfork.conversation import authentication  # noqa: PLC0415  # likewise

    assert session.settings.auth
    return (yield from authentication.accept(session, session.settings.auth, argument))


def _hello(session: Session, argument: bytes) -> bytes:
    greeted(session, argument, extended=False)
    return replies.hello(session.settings.greeting)


def _extended_hello(session: Session, argument: bytes) -> "Asking[bytes]":
    greeted(session, argument, extended=True)
    return replies.extended_hello(session.settings.greeting, (yield from _extensions(session)))


def _extensions(session: Session) -> "Asking[tuple[bytes, ...]]":
    """What EHLO offers."""
    offers: tuple[bytes, ...] = (b"PIPELINING", b"SIZE %d" % session.settings.databytes, b"8BITMIME")
    if session.settings.tls:
        from qmailfork.conversation import encryption  # noqa: PLC0415  # likewise

        if (yield from encryption.offered(session, session.settings.tls)):
            offers += (b"STARTTLS",)
    if session.settings.auth:
        from qmailfork.conversation import authentication  # noqa: PLC0415  # likewise

        offers += authentication.offered(session, session.settings.auth)
    if session.settings.extensions or session.settings.switches:
        from qmailfork.conversation import extensions  # noqa: PLC0415  # few sites turn one on

        offers += extensions.offered(session) + extensions.limits(session)
    return offers


def _data(session: Session, argument: bytes) -> "Asking[bytes]":
    return (yield from message.accept(session))


def _plain(answer: "Callable[[Session, bytes], bytes]") -> "Callable[[Session, bytes], Asking[bytes]]":
    """A verb whose answer takes no question."""

    def handler(session: Session, argument: bytes) -> "Asking[bytes]":
        yield from ()
        return answer(session, argument)

    return handler


def _reset(session: Session, argument: bytes) -> bytes:
    session.held = {}
    return replies.FLUSHED


def _quit(session: Session, argument: bytes) -> bytes:
    raise Quit(replies.closing(session.settings.greeting))


_HANDLERS: "dict[bytes, Callable[[Session, bytes], Asking[bytes]]]" = {
    HELO: _plain(_hello),
    EHLO: _extended_hello,
    MAIL: origin.accept,
    RCPT: recipient.accept,
    DATA: _data,
    RSET: _plain(_reset),
    NOOP: _plain(lambda session, argument: replies.OK),
    VRFY: _plain(lambda session, argument: replies.VERIFY),
    HELP: _plain(lambda session, argument: replies.HELP),
    QUIT: _plain(_quit),
    STARTTLS: _start_tls,
    AUTH: _authenticate,
}
