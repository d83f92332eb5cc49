"""The lists and switches of spamcontrol, asked about one recipient before the checkers, in spamcontrol's order.

A check yields requests and returns the event of a refusal, None where it has no objection. Which checks a client meets
depends on whether it relays: its "split horizon".
"""

from qmailfork.conversation import policy
from qmailfork.conversation.checking import Candidate
from qmailfork.conversation.session import Session
from qmailfork.conversation.switches import Switches
from qmailfork.programs import events, refusals
from qmailfork.programs.journal import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.conversation.requests import Asking

    Check = Callable[[Session, Switches, Candidate], Asking[Event | None]]


def screen(session: Session, switches: Switches, candidate: Candidate) -> "Asking[bytes]":
    """The reply that refuses the candidate, empty where nothing does."""
    relay = session.settings.relay_suffix is not None
    for check in _RELAY if relay else _OTHERS:
        refused = yield from check(session, switches, candidate)
        if refused:
            return (yield from session.refuse(refused))
    return b""


def _gateway(session: Session, switches: Switches, candidate: Candidate) -> "Asking[Event | None]":
    """rcpthosts."""
    yield from ()
    return None if candidate.envelope.local else events.no_gateway(candidate.envelope.recipient)


def _bad_sender(session: Session, switches: Switches, candidate: Candidate) -> "Asking[Event | None]":
    """badmailfrom."""
    yield from ()
    how = policy.bad_sender(session.settings, session.sender)
    return events.bad_sender(session.sender, candidate.routed, how) if how else None


def _too_many(session: Session, switches: Switches, candidate: Candidate) -> "Asking[Event | None]":
    """MAXRECIPIENTS."""
    yield from ()
    return refusals.too_many(candidate.routed) if 0 < switches.most_recipients < session.tried else None


_RELAY: "tuple[Check, ...]" = (_bad_sender, _too_many)
_OTHERS: "tuple[Check, ...]" = (_gateway, _bad_sender, _too_many)
