"""What the conversation asks of a driver: the whole vocabulary between the two.

A driver sends each request's answer back into the generator. What the answer is stands with the request.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.settings import Tls
    from qmailfork.programs.journal import Event
    from qmailfork.programs.verdict import Variables


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


class Listen(Exchange):
    """Say nothing, and see for `seconds` whether the client keeps silent, too: None then."""

    __slots__ = ()

    def __init__(self, seconds: float) -> None:
        super().__init__(b"", seconds, 4096)


class Wait:
    """Send `reply` (may be empty), then let the client wait for `seconds`, whatever it sends. Answer: None."""

    __slots__ = ("reply", "seconds")

    def __init__(self, reply: bytes, seconds: float) -> None:
        self.reply = reply
        self.seconds = seconds


class Lookup:
    """Ask DNS for the records of `name` (UTF-8), of the first of `kinds` that it has any of, for at most `seconds`.

    Answer: what they say (hosts of MX records, with a dot at their end, addresses), empty where there are none for
    sure; None where DNS does not tell for the moment; a ControlFault where it cannot be asked here.
    """

    __slots__ = ("kinds", "name", "seconds")

    def __init__(self, name: bytes, kinds: tuple[str, ...], seconds: float) -> None:
        self.name = name
        self.kinds = kinds
        self.seconds = seconds


class Run:
    """Run a program: `argv` with `environment` over the session's (None takes a variable away), for at most `seconds`.

    Its descriptor 0 is /dev/null, 2 the log, 1 the log too where `captured` is another one. `fence` is the program,
    with its arguments, that is started in its place and becomes it; empty for none.
    Answer: its Outcome, with at most OUTPUT octets of its descriptor `captured`.
    """

    OUTPUT = 65536
    __slots__ = ("argv", "captured", "environment", "fence", "seconds")

    def __init__(
        self,
        argv: list[bytes],
        environment: "Variables",
        seconds: float,
        captured: int = 1,
        fence: tuple[bytes, ...] = (),
    ) -> None:
        self.argv = argv
        self.environment = environment
        self.seconds = seconds
        self.captured = captured
        self.fence = fence

    @property
    def command(self) -> list[bytes]:
        """What is started: `argv`, behind the `fence`."""
        return [*self.fence, *self.argv] if self.fence else self.argv


class Entrust(Run):
    """The same for a program that reads a `secret` of at the MOST so many octets on its descriptor 3, up to the end.

    Nobody else can see it: it is in no file, environment or argument (checkpassword(8)).
    """

    MOST = 512  # what checkpassword(8) reads, and what a pipe takes without anybody reading
    __slots__ = ("secret",)

    def __init__(self, argv: list[bytes], environment: "Variables", seconds: float, secret: bytes) -> None:
        super().__init__(argv, environment, seconds)
        self.secret = secret


class RunWarm(Run):
    """The same for a Python program that a driver may keep imported: nobody can tell the difference but by the time."""

    __slots__ = ()


class Consult:
    """Ask the resident program at `address` (path, or host and port) a `question`, for at most `seconds`.

    The connection may be one that stands already, and is kept. The answer ends with `end`, and is at most LONGEST
    octets. Answer: its Outcome, ANSWERED with the answer as output; UNSTARTED where nobody listens; BROKEN; EXPIRED.
    """

    LONGEST = 65536
    __slots__ = ("address", "end", "question", "seconds")

    def __init__(self, address: bytes | tuple[bytes, int], question: bytes, end: bytes, seconds: float) -> None:
        self.address = address
        self.question = question
        self.end = end
        self.seconds = seconds


class Open:
    """Start the queue `program` with `environment` over the session's, as in Run.

    Answer: an Opened, or the reason (bytes) why it could not even be tried.
    """

    __slots__ = ("environment", "program")

    def __init__(self, program: bytes, environment: "Variables") -> None:
        self.program = program
        self.environment = environment


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


class StartTls:
    """Send `reply` (may be empty), then come to TLS with the client as `tls` says, for at most `seconds`.

    Later requests go through it. Answer: a Secured, or an Insecure.
    """

    __slots__ = ("reply", "seconds", "tls")

    def __init__(self, reply: bytes, seconds: float, tls: "Tls") -> None:
        self.reply = reply
        self.seconds = seconds
        self.tls = tls


class Secured:
    """The session is under TLS; `facts` are the variables about it that programs find (sslserver(1))."""

    __slots__ = ("facts",)

    def __init__(self, facts: dict[bytes, bytes]) -> None:
        self.facts = facts


class Insecure:
    """It did not come to TLS, and why; where it had `begun`, nothing can be said to the client any more."""

    __slots__ = ("begun", "reason")

    def __init__(self, reason: bytes, begun: bool) -> None:
        self.reason = reason
        self.begun = begun


class Start:
    """Start the smtpd that is wrapped, with one connection of ours as its descriptors 0 and 1.

    Its `environment` goes over the session's, as in Run. It is left at the end of the session, and where another one
    is started. Answer: None, or the reason (bytes) why it cannot be executed.
    """

    __slots__ = ("argv", "environment")

    def __init__(self, argv: list[bytes], environment: "Variables") -> None:
        self.argv = argv
        self.environment = environment


class Tell:
    """Send the wrapped smtpd `octets`, for at most `seconds`. Answer: whether it took them (bool).

    With those that are the `last` of a message it may take it: what it says then is waited for, and told the client,
    whoever would have the session end.
    """

    __slots__ = ("last", "octets", "seconds")

    def __init__(self, octets: bytes, seconds: float, last: bool = False) -> None:
        self.octets = octets
        self.seconds = seconds
        self.last = last


class Hear:
    """Wait for what the wrapped smtpd says, at most `seconds`; 0 for what it has said by now. Answer: as Exchange's."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Tunnel:
    """Send `reply` to the client, then carry octets between it and the wrapped smtpd as they come.

    Answer: None, once one of them is gone or neither has sent anything for `seconds`.
    """

    __slots__ = ("reply", "seconds")

    def __init__(self, reply: bytes, seconds: float) -> None:
        self.reply = reply
        self.seconds = seconds


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


Request = (
    Exchange | Wait | StartTls | Lookup | Run | Consult | Open | Write | Finish | Abandon | Start | Tell | Hear | Tunnel
    | Note
)  # fmt: skip
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeVar

    Answer = TypeVar("Answer")
    Asking = Generator[Request, Any, Answer]  # asks a driver, returns an Answer
