"""Lines for a log."""

import posix
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.programs.journal import Event, Style


def write(descriptor: int, line: bytes) -> None:
    """Write a line; a log that is gone does not stop the mail.

    Programs have the log as their descriptor 2, and one of them may have made it non-blocking for us, too.
    """
    try:
        while line:
            try:
                line = line[posix.write(descriptor, line) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(descriptor, select.POLLOUT)
                poll.poll()
    except OSError:
        return


def writer(descriptor: int, style: "Style", number: int) -> "Callable[[Event], None]":
    """What writes events to `descriptor` in this `style`, for the session of this `number`."""
    return lambda event: write(descriptor, style(number, event))
