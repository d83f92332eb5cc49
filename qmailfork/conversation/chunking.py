"""BDAT (RFC 3030): the message in counted chunks, with the same ends as DATA's.

The octets of a chunk are taken off the stream whatever the reply is, so none of them is ever read as a command; an
argument that does not tell how many they are ends the session. The queue program runs from the first chunk to the
last; a chunk that is refused, or RSET, HELO or EHLO between two of them, and it never sees an envelope.
"""

from qmailfork.conversation import message
from qmailfork.conversation.requests import Abandon, Open, Opened, Write
from qmailfork.conversation.session import CHUNKS, FRESH, Session
from qmailfork.programs import events
from qmailfork.smtp import chunks, replies
from qmailfork.smtp.commands import DATA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking


WORTH = 32768  # octets
KEPT = 3 << 17  # octets; glibc's malloc keeps twice of what it was once given back (mallopt(3), M_MMAP_THRESHOLD)


class Uncounted(message.Unreadable):
    """BDAT without a count."""

    reply = replies.NO_COUNT


class Chunked:
    """A message between its chunks: the queue program's id, the `body` so far, the `size` of what is stored of it.

    `pieces` wait until writing them is worth the queue program's wake-up.
    """

    __slots__ = ("body", "pieces", "qp", "size")

    def __init__(self, qp: int, above: bytes) -> None:
        self.qp = qp
        self.pieces = above
        self.body = chunks.Chunks()
        self.size = 0
        bytes(KEPT)  # else memory is given back and fetched anew at each block, at a page fault for each 4 KiB


def accept(session: Session, argument: bytes, step: str | bytes) -> "Asking[bytes]":
    """The reply to BDAT and its chunk, where the table says `step`; the session's state follows it.

    Raises Uncounted, Gone, Late, StrayNewline; the end of the session then leaves the queue program.
    """
    announced = chunks.size(argument)
    if announced is None:
        yield from session.say(3, b"BDAT without a count: ", argument)
        raise Uncounted
    count, last = announced
    refusal = step if isinstance(step, bytes) else (yield from session.refuse_held(DATA))
    if not refusal and session.chunked is None:
        refusal = yield from _open(session)
    if refusal:
        yield from _skip(session, count)
        yield from session.say(3, b"refused: BDAT ", argument)
        return refusal
    return (yield from _take(session, count, last))


def _open(session: Session) -> "Asking[bytes]":
    """Start the queue program: empty, or the reply where it does not start."""
    opened = yield Open(session.settings.queue, {**session.variables, **session.facts})
    if isinstance(opened, Opened):
        session.chunked = Chunked(opened.qp, message.above(session, opened))
        session.state = CHUNKS
        session.held = {}
        return b""
    session.state = FRESH
    yield session.note(events.no_queue(session.recipients[0], opened))
    return replies.NO_QUEUE


def _skip(session: Session, count: int) -> "Asking[None]":
    while count:
        count -= len((yield from session.portion(count)))


def _take(session: Session, count: int, last: bool) -> "Asking[bytes]":
    """Bring a chunk to the queue program: the reply."""
    chunked = session.chunked
    assert chunked
    left = count
    while left:
        block = yield from session.portion(left)
        left -= len(block)
        yield from _store(session, chunked, chunked.body.feed(block), WORTH)
        if chunked.body.stray:
            yield session.note(events.stray_newline(session.recipients[0]))
            raise message.StrayNewline
    if last:
        yield from _store(session, chunked, chunked.body.close(), 1)
    refusal = message.refusal(session, chunked.body, chunked.size)
    if refusal:
        session.chunked, session.state = None, FRESH
        yield Abandon()
        return (yield from session.refuse(refusal))
    if not last:
        return replies.octets(count)
    session.chunked, session.state = None, FRESH
    return (yield from message.finish(session, chunked.qp, chunked.size))


def _store(session: Session, chunked: Chunked, piece: bytes, least: int) -> "Asking[None]":
    """Take in a piece, as far as databytes allows, and write what waits where it is at `least` so many octets."""
    chunked.size += len(piece)
    if 0 < session.settings.databytes < chunked.size:
        return
    chunked.pieces += piece
    if len(chunked.pieces) >= least:
        yield Write(chunked.pieces)
        chunked.pieces = b""
