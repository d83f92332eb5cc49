"""RCPT: the site's own lists first, then the checkers' turn (README.smtpextfork, qmailfork-checker(7))."""

from qmailfork.conversation import checking, policy
from qmailfork.conversation.checking import Candidate
from qmailfork.conversation.session import Session
from qmailfork.programs import events
from qmailfork.programs.verdict import Envelope
from qmailfork.smtp import address, replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking
    from qmailfork.programs.verdict import Variables


def accept(session: Session, argument: bytes) -> "Asking[bytes]":
    """The reply to RCPT with this `argument`. Raises Hangup; ControlFault from the cdb."""
    found = yield from admit(session, argument)
    if isinstance(found, bytes):
        return session.signed(found)
    yield from checking.settle(session, found)
    return checking.announced(found, replies.OK)


def admit(session: Session, argument: bytes) -> "Asking[Candidate | bytes]":
    """The recipient that lists and checkers let in, or the reply that refuses it. Raises as accept."""
    session.tried += 1
    session.decided += 1
    session.deciding = session.decided
    settings = session.settings
    try:
        recipient, parameters = address.parse(argument)
        recipient = policy.localized(settings, recipient)
    except address.SyntaxFault:
        yield from session.say(3, b"syntax error in 'rcpt to': ", argument)
        return replies.SYNTAX
    facts = yield from _told(session, recipient, parameters)
    if isinstance(facts, bytes):
        return facts
    relay, suffix = settings.relay_suffix is not None, settings.relay_suffix or b""
    bad = policy.bad_sender(settings, session.sender) if settings.switches is None else b""
    if bad:
        return (yield from session.refuse(events.bad_sender(session.sender, recipient + suffix, bad)))
    asked = not relay or any(checker.told_local for checker in settings.checkers.entries)
    local = policy.is_local(settings, recipient) if asked else False
    candidate = Candidate(_envelope(session, recipient, local), suffix, settings.checkers.total)
    candidate.facts = facts
    if settings.switches is not None:
        from qmailfork.conversation import screening  # noqa: PLC0415  # few sites have set a switch

        refusal = yield from screening.screen(session, settings.switches, candidate)
        if refusal:
            return refusal
    elif not relay and not local:
        return (yield from session.refuse(events.no_gateway(recipient)))
    return (yield from checking.ask(session, candidate)) or candidate


def _told(session: Session, recipient: bytes, parameters: bytes) -> "Asking[Variables | bytes]":
    """What programs find of the parameters of RCPT, or the reply that refuses them."""
    if not session.settings.extensions:
        return {}
    from qmailfork.conversation import extensions  # noqa: PLC0415  # few sites turn one on

    return (yield from extensions.recipient(session, recipient, parameters))


def _envelope(session: Session, recipient: bytes, local: bool) -> Envelope:
    """What the checkers are told."""
    envelope = Envelope()
    envelope.peer = session.peer
    envelope.sender = session.sender
    envelope.helo = session.helo or b""
    envelope.extended = session.extended
    envelope.recipient = recipient
    envelope.size = session.size
    envelope.accepted = len(session.recipients)
    envelope.tried = session.tried
    envelope.local = local
    envelope.login = session.login
    envelope.message = b"%b.%d" % (session.peer.session, session.messages)
    return envelope
