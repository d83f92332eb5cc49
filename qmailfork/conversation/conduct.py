"""Which conversation a session is: our own, or one in front of another smtpd."""

from qmailfork.conversation import dialogue
from qmailfork.conversation.requests import Ending
from qmailfork.conversation.settings import Settings
from qmailfork.programs.peer import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking


def converse(settings: Settings, peer: Peer) -> "Asking[Ending]":
    """The conversation that the `settings` ask for."""
    if settings.wrapped:
        from qmailfork.conversation import relay  # noqa: PLC0415  # a session that wraps nothing has no use for it

        return relay.converse(settings, peer)
    return dialogue.converse(settings, peer)
