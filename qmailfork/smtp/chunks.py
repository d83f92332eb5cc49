"""The message of BDAT (RFC 3030): a stream of counted octets, cut into chunks anywhere, stored as DATA's is.

A chunk has no dots to take off and no end but its count. Otherwise its text is held to what DATA's is: lines end in
CR LF and are stored with LF alone, a CR without LF is kept, an LF without CR is a stray newline.
"""

from qmailfork.smtp.body import Body


class Chunks(Body):
    """One message on its way into the queue."""

    __slots__ = ()

    def cut(self, block: bytes) -> bytes:
        """`block` behind the CR that waits for what follows, without one at its own end."""
        data = self._waiting + block
        self._waiting = b"\r" if data.endswith(b"\r") else b""
        wire = data[:-1] if self._waiting else data
        if wire:
            self.fresh = wire.endswith(b"\r\n")
        return wire

    def unstuffed(self, wire: bytes, fresh: bool) -> bytes:
        """`wire`: no dots were added to it."""
        return wire

    def close(self) -> bytes:
        """What is left to store at the end: a last line without an end is given one, as mail is made of lines."""
        self.ended = True
        if self.fresh and not self._waiting:
            return b""
        self.count_hops(self._waiting + b"\r\n")
        return self._waiting + b"\n"


def size(argument: bytes) -> tuple[int, bool] | None:
    """How many octets the chunk has that BDAT with this `argument` begins, and whether it is the last.

    None for an argument that makes no sense: then nobody knows what of the stream is text and what are commands.
    """
    count, *more = argument.split(b" ")
    words = [word.upper() for word in more if word]
    if not count.isdigit() or len(count) > 20 or words not in ([], [b"LAST"]):
        return None
    return int(count), bool(words)
