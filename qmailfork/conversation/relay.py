"""Wrap mode: the conversation with a client in front of another smtpd, the child, which is told what passes.

The child hears one command at a time, each in the form that a client that behaves would give it, and never of a
recipient that is refused here. Its replies are the client's, but for what it offers and a checker could not see into.
Control files that are there apply before the checkers, in our words, so that none runs for a recipient in vain.
A client that logged in to the child is a relay client from there on: the child alone judges where it may send. With
an AUTH of ours it logs in here, and the child starts anew with RELAYCLIENT; so it does after a STARTTLS of ours.
"""

from qmailfork.conversation import checking, dialogue, message, origin, recipient
from qmailfork.conversation.child import Child, Closed, Lost, command
from qmailfork.conversation.dialogue import STEPS, Quit
from qmailfork.conversation.requests import Ending
from qmailfork.conversation.session import Session
from qmailfork.conversation.settings import Settings
from qmailfork.programs import events
from qmailfork.programs.peer import Peer
from qmailfork.smtp import address, client, commands, replies
from qmailfork.smtp.commands import AUTH, DATA, EHLO, HELO, MAIL, QUIT, RCPT, RSET, STARTTLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.conversation.authentication import Auth
    from qmailfork.conversation.requests import Asking

REQUIRETLS = b"REQUIRETLS"


def converse(settings: Settings, peer: Peer) -> "Asking[Ending]":
    """One session from greeting to end."""
    session = Session(settings, peer)
    child = Child(session)
    yield from dialogue.announce(session)
    if settings.tls and settings.tls.at_once and not (yield from dialogue.secure(session)):
        return Ending(b"", 1)
    early = yield from dialogue.early_talker(session)
    if early:
        return early
    try:
        session.owed.append((yield from child.start()))
        return (yield from dialogue.hold(session, lambda line: _obey(child, line)))
    except Closed as closing:
        return Ending(b"".join(session.owed) + closing.reply, 1)
    except Lost as fault:
        yield session.note(events.child_lost(fault.condition, settings.wrapped[0]))
        return Ending(b"".join(session.owed) + replies.CHILD_LOST, 1)


def _obey(child: Child, line: bytes) -> "Asking[bytes]":
    """The reply to one command line; the session's state follows the child's reply."""
    session = child.session
    verb, argument = commands.split(line)
    if verb == AUTH:
        session.guarded = True
    if b"\0" in line:
        yield from session.say(3, b"NUL in a command: ", dialogue.tellable(session, line))
        return replies.SYNTAX
    if not verb.isalnum() or (verb in client.BLIND and not _passes(session, verb)):
        yield from session.say(3, b"not handed on: ", dialogue.tellable(session, verb))
        return replies.UNIMPLEMENTED
    step = STEPS[session.state].get(verb, session.state)
    if verb == AUTH and not _own_auth(session):
        step = session.state  # when there may be one of its own is the child's to say
    if isinstance(step, bytes):
        yield from dialogue.refused(session, line, step)
        return step
    held = yield from session.refuse_held(verb)
    if held:
        return held
    yield from dialogue.heard(session, verb, argument)
    reply = yield from _HANDLERS.get(verb, _pass)(child, verb, argument)
    if verb == DATA or replies.is_positive(reply):
        session.state = step
    return reply


def _passes(session: Session, verb: bytes) -> bool:
    return verb in session.settings.blind or (verb == STARTTLS and session.settings.tls is not None)


def _own_auth(session: Session) -> "Auth | None":
    """How clients log in here; None where that is the wrapped smtpd's affair."""
    auth = session.settings.auth
    return auth if auth and auth.mechanisms else None


def _pass(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    """A command that concerns the child alone."""
    reply = yield from child.ask(command(verb, argument))
    if reply.startswith(b"3"):
        raise Lost(b"Protocol")
    return reply


def _hello(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    session = child.session
    reply = yield from _pass(child, verb, argument)
    if not replies.is_positive(reply):
        return reply
    dialogue.greeted(session, argument, extended=verb == EHLO)
    if verb == HELO:
        return reply
    child.offers = client.offers(reply)
    reply, hidden = client.extensions(reply, frozenset() if session.secured else session.settings.blind)
    if hidden and not child.reported:
        child.reported = True
        yield session.note(events.child_hidden(hidden))
    return (yield from _with_ours(session, reply))


def _with_ours(session: Session, reply: bytes) -> "Asking[bytes]":
    """The wrapped smtpd's `reply` to EHLO with what is offered here."""
    if session.settings.switches:
        from qmailfork.conversation import extensions  # noqa: PLC0415  # few sites have set a switch

        most = extensions.most_recipients(session)
        reply = client.limited(reply, most) if most else reply
    if session.settings.tls:
        from qmailfork.conversation import relaytls  # noqa: PLC0415  # likewise

        reply = yield from relaytls.offer(session, session.settings.tls, reply)
    auth = _own_auth(session)
    if auth:
        from qmailfork.conversation import relaylogin  # noqa: PLC0415  # few wrap an smtpd without AUTH

        return relaylogin.offer(session, auth, reply)
    return reply


def _mail(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    session = child.session
    found = yield from origin.admit(session, argument, keeps_tls=REQUIRETLS in child.offers)
    if isinstance(found, bytes):
        return found
    sender, size, parameters, facts = found
    try:
        reply = yield from child.ask(client.mail(sender, parameters))
    except address.SyntaxFault:
        return replies.SYNTAX
    if replies.is_positive(reply):
        yield from origin.begin(session, sender, size, facts)
    else:
        yield session.note(events.child_refused(b"ORIG", b"", reply), sender)
    return reply


def _recipient(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    session = child.session
    found = yield from recipient.admit(session, argument)
    if isinstance(found, bytes):
        return session.signed(found)
    try:
        _, parameters = address.parse(argument)
        reply = yield from child.ask(client.recipient(found.envelope.recipient, parameters))
    except address.SyntaxFault:
        return replies.SYNTAX
    if replies.is_positive(reply):
        yield from checking.settle(session, found)
    else:
        yield session.note(events.child_refused(b"RCPT", found.routed, reply))
    return session.signed(checking.announced(found, reply))


def _data(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    session = child.session
    first = session.recipients[0]
    reply = yield from child.ask(b"DATA")
    if reply.startswith(b"2"):  # to a message that it has not heard yet
        raise Lost(b"Protocol")
    if reply.startswith(client.GO_AHEAD):
        session.owed.append(reply)
        yield from session.say(4, b"go ahead")
        session.held = {}
        reply = yield from _carry(child)
    if reply.startswith(b"2"):
        yield session.note(events.child_took(first, reply))
        return (yield from session.acknowledge(reply))
    if reply.startswith(b"3"):
        raise Lost(b"Protocol")
    yield session.note(events.child_refused(b"DATA", first, reply))
    return reply


def _carry(child: Child) -> "Asking[bytes]":
    """Bring the message to the child and read it to its end, whether the child takes it or not: the child's reply."""
    session = child.session
    passage = client.Passage()
    takes = yield from child.tell(b"".join(session.headers).replace(b"\n", b"\r\n"))
    while not passage.ended:
        piece = passage.feed((yield from session.block()))
        if passage.stray:
            yield session.note(events.stray_newline(session.recipients[0]))
            raise message.StrayNewline
        if piece and takes:
            takes = yield from child.tell(piece)
    session.put_back(passage.rest)
    return (yield from child.end_message(takes))


def _reset(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    child.session.held = {}
    return (yield from _pass(child, verb, argument))


def _quit(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    raise Quit((yield from _pass(child, verb, argument)))


def _login(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    from qmailfork.conversation import relaylogin  # noqa: PLC0415  # few log in

    auth = _own_auth(child.session)
    if auth:
        return (yield from relaylogin.accept(child, auth, argument))
    return (yield from relaylogin.hand_on(child, command(verb, argument)))


def _start_tls(child: Child, verb: bytes, argument: bytes) -> "Asking[bytes]":
    from qmailfork.conversation import relaytls  # noqa: PLC0415  # a session in plain has no use for it

    return (yield from relaytls.start(child, command(verb, argument), argument))


_HANDLERS: "dict[bytes, Callable[[Child, bytes, bytes], Asking[bytes]]]" = {
    HELO: _hello,
    EHLO: _hello,
    MAIL: _mail,
    RCPT: _recipient,
    DATA: _data,
    RSET: _reset,
    QUIT: _quit,
    AUTH: _login,
    STARTTLS: _start_tls,
}
