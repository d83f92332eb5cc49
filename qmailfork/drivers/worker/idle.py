"""What a session waits for beside its client and its programs, on the event loop: time, and the name server."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task, TimerHandle

    from qmailfork.conversation.requests import Lookup
    from qmailfork.drivers.worker.session import Session


class Idle:
    """The waits of one `session`, one after the other, at whose end it is resumed."""

    __slots__ = ("_asking", "_loop", "_session", "_timer")

    def __init__(self, session: "Session", loop: "AbstractEventLoop") -> None:
        self._session = session
        self._loop = loop
        self._asking: Task[list[bytes] | None] | None = None  # the loop itself would let go of it
        self._timer: TimerHandle | None = None

    def pause(self, seconds: float) -> None:
        """Wait for so long."""
        self._timer = self._loop.call_later(seconds, self._awake)

    def wake(self) -> None:
        """Make an end to a pause."""
        if self._timer:
            self._timer.cancel()
            self.pause(0.0)

    def _awake(self) -> None:
        self._timer = None
        self._session.resume(None)

    def look_up(self, request: "Lookup") -> None:
        """Wait for DNS."""
        from qmailfork.system import lookups  # noqa: PLC0415  # its library is for those who ask

        self._asking = self._loop.create_task(lookups.records(request.name, request.kinds, request.seconds))
        self._asking.add_done_callback(self._answered)

    def _answered(self, asked: "Task[list[bytes] | None]") -> None:
        self._asking = None
        self._session.resume(asked.result())
