"""The servers that transcripts and the smuggling matrix are played against; a new driver is one more entry."""

from tests.listeners import LISTENERS, WRAPPERS
from tests.servers import Driver, reference, reference_there, stdio, wrapper

OURS = (
    Driver("stdio", stdio),
    Driver("listener", LISTENERS.open, cold=False, tcp=True, bytewise=False),
    Driver("handoff", LISTENERS.hand_over, cold=False),
)
REFERENCES = (
    Driver("reference", reference, ours=False),
    Driver("wrapper", wrapper, alone=False),
    Driver("wrapping-listener", WRAPPERS.open, cold=False, tcp=True, bytewise=False, alone=False),
)
DRIVERS = OURS + (REFERENCES if reference_there() else ())
