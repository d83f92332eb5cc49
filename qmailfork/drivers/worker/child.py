"""The wrapped smtpd in one session on the event loop: what it is told, what it says, and how long it may take."""

from qmailfork.drivers.worker.client import NEVER
from qmailfork.drivers.worker.link import Link, Site
from qmailfork.drivers.worker.wrapped import Wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmailfork.conversation.requests import Hear, Start, Tell, Tunnel
    from qmailfork.drivers.worker.session import Session


class Child:
    """Answers the requests about the smtpd that is wrapped; where it takes time, the `session` is resumed.

    `deadline` is when the patience with it ends. Raises OSError where it cannot be executed.
    """

    __slots__ = ("_in_tunnel", "_link", "_session", "_settling", "_site", "_wrapped", "deadline")

    def __init__(
        self, session: "Session", site: Site, link: Link, request: "Start", environment: "Mapping[bytes, bytes]"
    ) -> None:
        self._session = session
        self._site = site
        self._link = link
        self._wrapped = Wrapped(site.reactor, site.reaper, request.argv, environment, link.errors)
        self._in_tunnel = False
        self._settling = False  # it has heard the end of a message
        self.deadline = NEVER

    def tell(self, request: "Tell") -> bool | None:
        """Whether it took the octets; None where the session hears later."""
        self._settling = request.last
        took = self._wrapped.tell(request.octets, self._resume_in_time)
        if took is None:
            self.deadline = self._site.now + request.seconds
        return took

    def overhear(self) -> bytes | None:
        """What it has said by now, b"" where it is gone; None where that is nothing."""
        return self._wrapped.overhear()

    def hear(self, request: "Hear") -> bytes | None:
        """What it says next, b"" where it is gone; None where the session hears later."""
        heard = self._wrapped.hear(self._resume_in_time)
        if heard is None:
            self.deadline = self._site.now + request.seconds
        return heard

    def _resume_in_time(self, answer: object) -> None:
        self.deadline = NEVER
        self._session.resume(answer)

    def tunnel(self, request: "Tunnel") -> None:
        """Carry octets between it and the client; the session is resumed at the end."""
        self._session.client.seconds = request.seconds
        self._session.client.send(request.reply, self._join)

    def _join(self, sent: bool) -> None:
        if not sent:
            self._session.resume_soon(None)
            return
        client = self._session.client
        self._in_tunnel = True
        client.stay()
        self._wrapped.tunnel(self._link.source, self._link.sink, client.stay, self._leave_tunnel)

    def _leave_tunnel(self) -> None:
        self._session.client.deadline = NEVER
        self._session.resume(None)

    def is_settling(self) -> bool:
        """Whether a message is its own for the moment, and its time is not over."""
        return self._settling and self._site.now < self.deadline < NEVER

    def expire(self) -> None:
        """Its time is over, or the client's in the tunnel."""
        if self._in_tunnel:
            self._in_tunnel = False
            self._session.resume(None)
        else:
            self._wrapped.expire()

    def leave(self) -> None:
        """It sees the end of its input, and is killed where that does not end it."""
        self._wrapped.leave()
