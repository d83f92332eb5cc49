"""The servers that transcripts and the smuggling matrix are played against; a new driver is one more entry."""

from tests.listeners import LISTENERS
from tests.servers import Driver, reference, reference_there, stdio

OURS = (
    Driver("stdio", stdio),
    Driver("listener", LISTENERS.open, cold=False, tcp=True, bytewise=False),
    Driver("handoff", LISTENERS.hand_over, cold=False),
)
DRIVERS = OURS + ((Driver("reference", reference, ours=False),) if reference_there() else ())
