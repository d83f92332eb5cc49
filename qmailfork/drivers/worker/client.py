"""The client of one session on the event loop: what it is sent, and what it says, without ever blocking."""

import posix

from qmailfork.drivers.worker.link import Link, Site
from qmailfork.system import parting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = float("inf")


class Client:
    """Sends to the client and hears it, one after the other; `deadline` is when the patience with it ends, or its own.

    `seconds` is how long it may take over what it is sent.
    """

    __slots__ = (
        "_link", "_most", "_octets", "_reading", "_rest", "_site", "_taker", "_waiting", "_when_sent", "deadline",
        "seconds",
    )  # fmt: skip

    def __init__(self, site: Site, link: Link) -> None:
        self._site = site
        self._link = link
        self._most = 0
        self._octets = 0
        self._reading = False  # the loop tells us what can be read
        self._rest = b""  # of a reply that the client did not take at once
        self._taker: Callable[[bytes | None], None] | None = None
        self._waiting = False  # what it says is waited for
        self._when_sent: Callable[[bool], None] | None = None
        self.deadline = NEVER
        self.seconds = 0.0

    def talk(self, reply: bytes, seconds: float, most: int, taker: "Callable[[bytes | None], None]") -> None:
        """Send octets, then call `taker` with the answer of an Exchange."""
        self.seconds, self._most, self._taker = seconds, most, taker
        if reply:
            self.send(reply, self._await)
        else:
            self._await(True)

    def send(self, reply: bytes, then: "Callable[[bool], None]") -> None:
        """Send `reply`, then call with whether the client took it."""
        try:
            sent = posix.write(self._link.sink, reply) if reply else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            then(False)
            return
        if sent == len(reply):
            then(True)
            return
        self._rest = reply[sent:]
        self._when_sent = then
        self.stay()
        self._site.reactor.on_writable(self._link.sink, self._on_writable)

    def try_to_tell(self, reply: bytes) -> None:
        """Send as much of `reply` as it takes at once."""
        try:
            posix.write(self._link.sink, reply)
        except OSError:
            return

    def stay(self) -> None:
        """Its time begins anew."""
        self.deadline = self._site.now + self.seconds

    def _on_writable(self) -> None:
        self._site.reactor.ignore_writable(self._link.sink)
        then, self._when_sent = self._when_sent, None
        if then:
            self.send(self._rest, then)

    def _await(self, sent: bool) -> None:
        if not sent:
            self._site.reactor.loop.call_soon(self._take, b"")
            return
        self._waiting = True
        self.deadline = self._site.now + self.seconds
        if not self._reading:
            self._reading = True
            self._site.reactor.on_readable(self._link.source, self._on_readable)

    def _on_readable(self) -> None:
        if not self._waiting:
            self._reading = False
            self._site.reactor.ignore_readable(self._link.source)
            return
        try:
            block = posix.read(self._link.source, self._most)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        self._octets += len(block)
        if 0 < self._site.most_octets < self._octets:
            self._link.complain(f"sent more than {self._site.most_octets} octets")
            block = b""
        self._take(block)

    def _take(self, block: bytes | None) -> None:
        """What it said is here."""
        self._waiting = False
        self.deadline = NEVER
        if self._taker:
            self._taker(block)

    def replace(self, source: int, sink: int) -> None:
        """It is behind these descriptors from here on."""
        reactor, link = self._site.reactor, self._link
        for old in {link.source, link.sink} - {source, sink}:
            reactor.close(old)
        link.source, link.sink, self._reading = source, sink, False

    def hang_up(self) -> None:
        """It is gone, though its descriptors do not tell."""
        if self._when_sent:
            self._site.reactor.loop.call_soon(self._stop_sending)
        elif self._waiting:
            self._waiting = False
            self._site.reactor.loop.call_soon(self._take, b"")

    def _stop_sending(self) -> None:
        """It takes no more of what is on its way."""
        then, self._when_sent = self._when_sent, None
        if then:
            self.deadline = NEVER
            self._site.reactor.ignore_writable(self._link.sink)
            then(False)

    def expire(self) -> bool:
        """Its deadline is over; False where nothing was waited for."""
        self.deadline = NEVER
        if self._when_sent:
            self._stop_sending()
        elif self._waiting:
            self._take(None)
        else:
            return False
        return True

    def part(self, then: "Callable[[], None]") -> None:
        """Call once the connection can be closed without taking back what was said last (system/parting.py)."""
        if parting.is_over(self._link.source, self._link.sink):
            then()
            return
        self.deadline = self._site.now + parting.SECONDS
        self._when_sent = lambda sent: then()  # expire() calls it

        def hear_out() -> None:
            if parting.hears_the_end(self._link.source):
                self._stop_sending()

        self._site.reactor.ignore_readable(self._link.source)
        self._site.reactor.on_readable(self._link.source, hear_out)

    def close(self) -> None:
        """Close the connection."""
        self.deadline = NEVER
        self._taker = self._when_sent = None  # they know us, too
        self._site.reactor.close(self._link.source)
        if self._link.sink != self._link.source:
            self._site.reactor.close(self._link.sink)
