"""The message after DATA, decoded in blocks (RFC 5321 section 4.5.2, with qmail-smtpd's strictness).

Only CR LF . CR LF ends a message. A bare LF anywhere before that is a stray newline, which ends the session:
whoever sends one may mean to smuggle. A CR without LF is kept as it is. Lines are stored with LF alone; a dot at
the start of a line is taken off, save before a CR.

`Wire` cuts what belongs to the message from what arrives, `Body` turns it into what is stored. A block may end
anywhere: what cannot be decided yet (a CR, a dot at the start of a line) waits for the next one. Searching for two
octets or more is slow beside searching for one: where a block has no dot at all, nothing that has one is looked for.
"""

MAX_HOPS = 100
MANY = 4096  # lines in one block: to join so many takes more memory than the block


class Wire:
    """One message as it comes over the wire.

    Attributes: `ended` (its end was seen), `rest` (octets that arrived behind the end), `stray` (a bare LF was seen),
    `fresh` (what comes next stands at the start of a line).
    """

    __slots__ = ("_waiting", "ended", "fresh", "rest", "stray")

    def __init__(self) -> None:
        self.ended = self.stray = False
        self.rest = b""
        self.fresh = True
        self._waiting = b""  # undecided end of the last block

    def cut(self, block: bytes) -> bytes:
        """What `block` makes sure to be of the message; sets `ended` and `rest`, or keeps what has to wait."""
        data = self._waiting + block
        end = -1
        if b"." in data:
            end = -2 if self.fresh and data.startswith(b".\r\n") else data.find(b"\r\n.\r\n")
        if end != -1:
            end += 2
            self.ended = True
            self.rest = data[end + 3 :]
            self._waiting = b""
            return data[:end]
        held = _undecided(data, self.fresh)
        wire = data[: len(data) - held]
        self._waiting = data[len(data) - held :]
        if wire:
            self.fresh = wire.endswith(b"\r\n")
        return wire


class Body(Wire):
    """One message on its way into the queue; `hops` counts Received and Delivered-To fields in the header."""

    __slots__ = ("_header", "_line", "hops")

    def __init__(self) -> None:
        super().__init__()
        self.hops = 0
        self._header = True  # still in the header
        self._line = b""  # start of the header line that is not complete yet

    def feed(self, block: bytes) -> bytes:
        """The stored form of what `block` completes."""
        fresh = self.fresh
        wire = self.cut(block)
        stored = _stored(self.unstuffed(wire, fresh))
        if stored is None:
            self.stray = True
            return b""
        self.count_hops(wire)
        return stored

    def unstuffed(self, wire: bytes, fresh: bool) -> bytes:
        """Decided `wire` octets without the dots before lines; `fresh` where they begin at the start of one."""
        if b"." not in wire:
            return wire
        if fresh and wire.startswith(b".") and not wire.startswith(b".\r"):
            wire = wire[1:]
        if b"\r\n." in wire:
            if b"\r\n.\r" in wire:
                wire = wire.replace(b"\r\n.\r", b"\r\n..\r")
            wire = wire.replace(b"\r\n.", b"\r\n")
        return wire

    def count_hops(self, wire: bytes) -> None:
        """Count complete header lines that begin with `received` or `delivered`, up to the first empty line."""
        if not self._header:
            return
        text = b"\n" + self._line + wire
        end = text.find(b"\n\r\n")
        if end >= 0:
            self._header = False
        else:
            end = text.rfind(b"\n")
            self._line = text[end + 1 : end + 10]
        seen = text[: end + 1].lower()
        self.hops += seen.count(b"\nreceived") + seen.count(b"\ndelivered")


def _stored(text: bytes) -> bytes | None:
    """`text` with LF for CR LF; None where there is an LF without its CR."""
    lines = text.split(b"\r\n")
    if len(lines) <= MANY:
        return None if b"\n" in b"".join(lines) else b"\n".join(lines)
    return text.replace(b"\r\n", b"\n") if text.count(b"\n") == len(lines) - 1 else None


def _undecided(data: bytes, fresh: bool) -> int:
    """How many octets at the end of `data` cannot be decided without what follows."""
    for tail in (b".\r", b"."):
        if data.endswith(b"\r\n" + tail) or (fresh and data == tail):
            return len(tail)
    return 1 if data.endswith(b"\r") else 0
