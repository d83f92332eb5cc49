"""A report of events that did happen to a Tally, with names that a stranger chose."""

from qmailfork.logs.reader import Counts
from qmailfork.programs import events
from qmailfork.report import summary
from qmailfork.report.tally import Tally

START = 1795500000
HOSTILE = b"<script>alert(1)</script>'\"&"


def report() -> summary.Summary:
    """Three days, with names that a stranger chose."""
    tally = Tally({})
    for number in range(72):
        recipient = b"joe@" + HOSTILE
        for event in (
            events.recipient_accepted(recipient, False, []),
            events.checker_refused(recipient, HOSTILE, b"Extfork_101", b"454 no\r\n", []),
            events.shadowed(recipient, HOSTILE, b"Extfork_100", b"554 no\r\n", []),
        ):
            event.ip, event.sender = HOSTILE, b"x@" + HOSTILE
            tally.add(START + number * 3600, number, event)
    counts = Counts()
    counts.lines, counts.faults = 216, [HOSTILE.decode()]
    return summary.of(tally, counts, 10)
