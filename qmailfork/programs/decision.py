"""The names of decisions: what a postmaster is told on the telephone, and finds in the log.

A session has a name of eight letters and digits, none of them taken for another when it is heard or read; a recipient
of it that name and a number: `k3m9-x2qp-1`.
"""

ALPHABET = b"23456789bcdfghjkmnpqrstvwxyz"
LENGTH = 8
HALF = LENGTH // 2
_NAMES = len(ALPHABET) ** LENGTH - 1  # odd, so that no part of what tells sessions apart is lost


def identity(session: bytes, number: int) -> bytes:
    """The name of the decision about recipient `number` (from 1; 0: about none of them) of the `session` so called.

    Two of 380 thousand million sessions have the same.
    """
    rest = int.from_bytes(session, "big") % _NAMES
    octets = bytearray()
    for _ in range(LENGTH):
        rest, digit = divmod(rest, len(ALPHABET))
        octets.append(ALPHABET[digit])
    name = b"%b-%b" % (bytes(octets[:HALF]), bytes(octets[HALF:]))
    return b"%b-%d" % (name, number) if number else name


def sign(reply: bytes, name: bytes) -> bytes:
    """A `reply` with the `name` of its decision at the end of its text."""
    return b"%b (%b)\r\n" % (reply.removesuffix(b"\r\n"), name)
