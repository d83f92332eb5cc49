"""The servers that transcripts and the smuggling matrix are played against; a new driver is one more entry."""

from tests.handoffs import HANDOFFS
from tests.listeners import LISTENERS
from tests.servers import Driver, reference, reference_there, stdio

OURS = (
    Driver("stdio", stdio),
    Driver("listener", LISTENERS.open, cold=False, bytewise=False),
    Driver("handoff", HANDOFFS.open),
)
DRIVERS = OURS + ((Driver("reference", reference, ours=False),) if reference_there() else ())
