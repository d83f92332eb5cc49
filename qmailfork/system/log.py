"""Lines for a log."""

import posix
import select


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
