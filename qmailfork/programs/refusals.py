"""What spamcontrol's switches refuse, one event each: its condition and shape, as in programs/events.py."""

from qmailfork.programs.journal import ENVELOPE, Event
from qmailfork.smtp import replies


def too_many(recipient: bytes) -> Event:
    """The client has named more recipients than it may."""
    words = b"message denied because of more 'RCPT TO' than allowed"
    condition = b"Reject::RCPT::Toomany_Rcptto"
    return Event(condition, ENVELOPE, None, 3, words, replies.TOO_MANY_RECIPIENTS, recipient)
