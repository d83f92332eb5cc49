"""DATA: the message on its way from the client to the queue program.

250 is said only where the queue program got message and envelope whole and exited 0. In every other case it saw no
complete envelope, or said itself that it did not take the message.
"""

from qmailfork.conversation.requests import Abandon, Finish, Open, Opened, Write
from qmailfork.conversation.session import Gone, Late, Session
from qmailfork.programs import events, queue
from qmailfork.programs.journal import Event
from qmailfork.smtp import received, replies
from qmailfork.smtp.body import MAX_HOPS, Body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking


class Unreadable(Exception):
    """What the client sends cannot be read any further: the session ends with `reply`."""

    reply = b""


class StrayNewline(Unreadable):
    """A bare LF in the message."""

    reply = replies.STRAY_NEWLINE


def accept(session: Session) -> "Asking[bytes]":
    """The reply to DATA and its message. Raises Gone, Late, StrayNewline: then nothing is queued."""
    opened = yield Open(session.settings.queue, {**session.variables, **session.facts})
    if not isinstance(opened, Opened):
        yield session.note(events.no_queue(session.recipients[0], opened))
        return replies.NO_QUEUE
    session.held = {}
    session.owed.append(replies.GO_AHEAD)
    yield from session.say(4, b"go ahead")
    body = Body()
    try:
        size = yield from _carry(session, body, above(session, opened))
    except (Gone, Late, StrayNewline):
        yield Abandon()
        raise
    refused = refusal(session, body, size)
    if refused is None:
        return (yield from finish(session, opened.qp, size))
    yield Abandon()
    return (yield from session.refuse(refused))


def above(session: Session, opened: Opened) -> bytes:
    """What goes above the message."""
    peer, helo = session.peer, session.helo
    if helo is not None and helo.lower() == peer.host.lower():
        helo = None
    protocol = received.protocol(session.protocol, session.utf8)
    headers = b"".join(session.headers)
    return headers + received.field(peer.host, helo, peer.info, peer.ip, peer.local, protocol, opened.moment)


def _carry(session: Session, body: Body, received: bytes) -> "Asking[int]":
    """Read the message to its end, and bring it to the queue program as far as databytes allows: its size.

    The field `received` goes before the first piece, which saves the program a wake-up.
    """
    limit = session.settings.databytes
    size = 0
    while not body.ended:
        piece = body.feed((yield from session.block()))
        if body.stray:
            yield session.note(events.stray_newline(session.recipients[0]))
            raise StrayNewline
        size += len(piece)
        if (received or piece) and not 0 < limit < size:
            yield Write(received + piece)
            received = b""
    session.put_back(body.rest)
    return size


def refusal(session: Session, body: Body, size: int) -> Event | None:
    """Why this message must not be queued, if it must not."""
    first = session.recipients[0]
    if body.hops >= MAX_HOPS:
        return events.looping(first)
    if 0 < session.settings.databytes < size:
        return events.too_big(first, announced=False)
    return None


def finish(session: Session, qp: int, size: int) -> "Asking[bytes]":
    """Hand the envelope over and say how the queue program took it: the reply, empty where it was said already."""
    outcome, complete = yield Finish(queue.envelope(session.sender, session.recipients))
    first = session.recipients[0]
    refusal = queue.refusal(outcome, complete)
    if refusal:
        yield session.note(events.not_queued(first, session.settings.queue, outcome, refusal))
        return refusal
    reply = replies.queued(outcome.when, qp)
    yield session.note(events.queued(first, outcome.when, qp, size, reply))
    return (yield from session.acknowledge(reply))
