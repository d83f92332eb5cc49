"""RCPT: the site's own lists first, then the checkers' turn (README.smtpextfork, qmailfork-checker(7))."""

from qmailfork.conversation import policy
from qmailfork.conversation.requests import Run
from qmailfork.conversation.session import Session
from qmailfork.programs import checkers, events
from qmailfork.smtp import address, replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking
    from qmailfork.programs.journal import Check


class Hangup(Exception):
    """The connection is to be closed after a reply that is owed already."""


def accept(session: Session, argument: bytes) -> "Asking[bytes]":
    """The reply to RCPT with this `argument`. Raises Hangup; ControlFault from the cdb."""
    settings = session.settings
    try:
        recipient = policy.localized(settings, address.parse(argument)[0])
    except address.SyntaxFault:
        yield from session.say(3, b"syntax error in 'rcpt to': ", argument)
        return replies.SYNTAX
    routed = recipient + (settings.relay_suffix or b"")
    bad = policy.bad_sender(settings, session.sender)
    if bad:
        yield session.note(events.bad_sender(session.sender, recipient, bad))
        return replies.BAD_SENDER
    if settings.relay_suffix is None and not policy.is_local(settings, recipient):
        yield session.note(events.no_gateway(recipient))
        return replies.NO_GATEWAY
    checks: list[Check] = []
    refusal = yield from _ask_checkers(session, recipient, routed, checks)
    if refusal:
        return refusal
    session.recipients.append(routed)
    relay = settings.relay_suffix is not None
    yield session.note(events.recipient_accepted(routed, relay, checks))
    return replies.OK


def _ask_checkers(session: Session, recipient: bytes, routed: bytes, checks: "list[Check]") -> "Asking[bytes]":
    """Run the list until one refuses: its reply, or empty where none does. Fills `checks`. Raises Hangup."""
    contract = session.settings.checkers
    environment = checkers.envelope(session.sender, session.helo or b"", recipient)
    for entry in contract.entries:
        outcome = yield Run(entry.argv, environment, contract.seconds)
        checks.append((entry.program, outcome))
        verdict = contract.judge(outcome)
        if verdict.failed:
            yield session.note(events.checker_failed(routed, entry.program, verdict.failed, checks))
        if verdict.code:
            reply = contract.reply(verdict.code)
            yield session.note(events.checker_refused(routed, entry.program, verdict.condition, reply, checks))
            if contract.quits or verdict.code == b"421":
                session.owed.append(reply)
                raise Hangup
            return reply
    return b""
