"""What the conversation asks of a driver: the whole vocabulary between the two.

A driver sends each request's answer back into the generator. What the answer is stands with the request.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.programs.journal import Event


class Exchange:
    """Send `reply` (may be empty) to the client, then wait for what it sends, each for at most `seconds`.

    Answer: the octets (bytes, at least one and at the `most`); b"" where the client is gone; None where
    the time is over.
    """

    __slots__ = ("most", "reply", "seconds")

    def __init__(self, reply: bytes, seconds: float, most: int) -> None:
        self.reply = reply
        self.seconds = seconds
        self.most = most


class Run:
    """Run a program: `argv` with `environment` added to the session's, for at most `seconds`.

    Answer: its Outcome, with at most OUTPUT octets of its descriptor 1.
    """

    OUTPUT = 65536
    __slots__ = ("argv", "environment", "seconds")

    def __init__(self, argv: list[bytes], environment: dict[bytes, bytes], seconds: float) -> None:
        self.argv = argv
        self.environment = environment
        self.seconds = seconds


class Open:
    """Start the queue `program`. Answer: an Opened, or the reason (bytes) why it could not even be tried."""

    __slots__ = ("program",)

    def __init__(self, program: bytes) -> None:
        self.program = program


class Opened:
    """The queue program runs: its process id `qp`, and the `moment` in UTC (year, month, day, hour, minute, second)."""

    __slots__ = ("moment", "qp")

    def __init__(self, qp: int, moment: tuple[int, ...]) -> None:
        self.qp = qp
        self.moment = moment


class Write:
    """Give the queue program a piece of the message. Answer: None, whether it takes it or not (Finish tells)."""

    __slots__ = ("piece",)

    def __init__(self, piece: bytes) -> None:
        self.piece = piece


class Finish:
    """The message is whole: give the queue program the `envelope` and wait for its end.

    Answer: its Outcome (the words it wrote for exit code 82 as output) and whether it got everything (bool).
    """

    __slots__ = ("envelope",)

    def __init__(self, envelope: bytes) -> None:
        self.envelope = envelope


class Abandon:
    """The message shall not be queued: let the queue program see an end without envelope, and wait for its own.

    Answer: None.
    """

    __slots__ = ()


class Note:
    """Log an `event`. Answer: None."""

    __slots__ = ("event",)

    def __init__(self, event: "Event") -> None:
        self.event = event


class Ending:
    """The conversation's return value: send `reply` (may be empty), close the connection, exit with `status`."""

    __slots__ = ("reply", "status")

    def __init__(self, reply: bytes, status: int) -> None:
        self.reply = reply
        self.status = status


Request = Exchange | Run | Open | Write | Finish | Abandon | Note
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeVar

    Answer = TypeVar("Answer")
    Asking = Generator[Request, Any, Answer]  # asks a driver, returns an Answer
