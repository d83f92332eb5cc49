"""TLS by the server in front of a hand-off (sslserver -n, ucspi-tls(2)), on the event loop."""

import posix

from qmailfork.conversation.requests import Insecure, Secured, StartTls
from qmailfork.system import ucspitls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.drivers.worker.link import Link
    from qmailfork.drivers.worker.session import Session


def begin(session: "Session", link: "Link", request: StartTls) -> Insecure | None:
    """Ask the server for TLS; the session is resumed when it is there. An answer at once where that cannot be."""
    if link.ucspi is None:
        return Insecure(b"ucspi-tls: the hand-off brought no descriptors", begun=False)
    control, reading, writing = link.ucspi
    try:
        for descriptor in link.ucspi:
            posix.set_blocking(descriptor, False)
    except OSError as fault:
        return Insecure(b"ucspi-tls: " + (fault.strerror or "").encode(), begun=False)
    session.client.send(request.reply, _Asking(session, link, request.seconds, (control, reading, writing)).ask)
    return None


class _Asking:
    """The time until the server has come to TLS; its answer is read in the client's place."""

    __slots__ = ("_descriptors", "_link", "_seconds", "_session", "_text")

    def __init__(self, session: "Session", link: "Link", seconds: float, descriptors: tuple[int, int, int]) -> None:
        self._session = session
        self._link = link
        self._seconds = seconds
        self._descriptors = descriptors
        self._text = b""

    def ask(self, sent: bool) -> None:
        """The client has been told."""
        control, _, writing = self._descriptors
        try:
            if not sent:
                raise OSError(0, "connection closed")
            posix.write(control, ucspitls.START)
        except OSError as fault:
            self._session.resume_soon(Insecure(b"ucspi-tls: " + (fault.strerror or "").encode(), begun=True))
            return
        self._link.ucspi = None
        self._session.client.replace(control, writing)
        self._session.client.talk(b"", self._seconds, ucspitls.LONGEST, self._take)

    def _take(self, block: bytes | None) -> None:
        self._text += block or b""
        if not block or len(self._text) > ucspitls.LONGEST:
            posix.close(self._descriptors[1])
            self._session.resume(Insecure(b"ucspi-tls: the server did not come to TLS", begun=True))
        elif ucspitls.is_whole(self._text):
            self._session.client.replace(*self._descriptors[1:])
            self._session.resume(Secured(ucspitls.variables(self._text)))
        else:
            self._session.client.talk(b"", self._seconds, ucspitls.LONGEST, self._take)
