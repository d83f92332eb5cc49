"""Parting from a client that still sends: on both sides of the connection its octets would take back our last reply.

Who closes a TCP connection with octets unread resets it (RFC 9293 section 3.6.1, RFC 2525 section 2.17), and what was
sent and not acknowledged yet is lost. So we say that we send no more, and take in what comes until the client ends.
"""

import _socket
import posix
import select
from time import monotonic

SECONDS = 1.0  # that a client may go on sending
AT_ONCE = 65536  # octets


def is_over(source: int, sink: int) -> bool:
    """Whether the client, which is heard on `source`, sends no more for the moment; if it does, it hears our end.

    `source` does not block.
    """
    try:
        if not posix.read(source, AT_ONCE):
            return True
    except OSError:
        return True
    return not _ended(sink)


def hears_the_end(source: int) -> bool:
    """Drop what the client has sent: whether it was the last. `source` does not block."""
    try:
        return not posix.read(source, AT_ONCE)
    except BlockingIOError:
        return False
    except OSError:
        return True


def hear_out(source: int, sink: int) -> None:
    """Drop what the client still sends on `source`, a descriptor that may block, until it ends."""
    try:
        if not _ended(sink):
            return
        until, poll = monotonic() + SECONDS, select.poll()
        poll.register(source, select.POLLIN)
        while (left := until - monotonic()) > 0 and poll.poll(left * 1000):
            if not posix.read(source, AT_ONCE):
                return
    except OSError:
        return


def _ended(sink: int) -> bool:
    """Say on the socket `sink` that nothing more comes from us; False where it is none, or has gone."""
    try:
        sock = _socket.socket(fileno=posix.dup(sink))
        try:
            sock.shutdown(_socket.SHUT_WR)
        finally:
            sock.close()
    except OSError:
        return False
    return True
