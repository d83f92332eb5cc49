"""TLS by the server that started us: sslserver -n, and whoever else follows ucspi-tls(2).

We ask for it by an octet on its control descriptor. It answers there with variables, each ended by NUL, one NUL more
at the end, and carries the client's octets in plain between itself and two descriptors that take the place of ours.
"""

import posix
import select
from time import monotonic

from qmailfork.conversation.requests import Insecure, Secured

START = b"Y"
LONGEST = 65536  # octets of its answer


def start(descriptors: tuple[int, int, int], seconds: float) -> Secured | Insecure:
    """Ask for TLS and wait at most `seconds` for it; then descriptors 0 and 1 are the client under TLS."""
    control, reading, writing = descriptors
    try:
        posix.write(control, START)
        told = _answer(control, seconds)
        if told is None:
            return Insecure(b"the server did not come to TLS", begun=True)
        posix.dup2(reading, 0)
        posix.dup2(writing, 1)
    except OSError as fault:
        return Insecure(b"ucspi-tls: " + (fault.strerror or "").encode(), begun=True)
    return Secured(told)


def _answer(control: int, seconds: float) -> dict[bytes, bytes] | None:
    until = monotonic() + seconds
    poll = select.poll()
    poll.register(control, select.POLLIN)
    text = b""
    while not is_whole(text):
        if not poll.poll(max(until - monotonic(), 0) * 1000):
            return None
        block = posix.read(control, LONGEST)
        if not block or len(text) > LONGEST:
            return None
        text += block
    return variables(text)


def is_whole(text: bytes) -> bool:
    """Whether `text` is all of an answer."""
    return text.startswith(b"\0") or b"\0\0" in text


def variables(text: bytes) -> dict[bytes, bytes]:
    """The variables in an answer."""
    fields = text.partition(b"\0\0")[0].split(b"\0")
    return dict(field.split(b"=", 1) for field in fields if b"=" in field)
