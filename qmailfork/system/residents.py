"""Asking resident programs, for a driver that may block: one connection to each, kept for the next question."""

import _socket
import select
from time import monotonic, sleep, time

from qmailfork.programs.outcome import ANSWERED, BROKEN, EXPIRED, UNSTARTED, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Address = bytes | tuple[bytes, int]

BLOCK = 65536  # octets read at once
BREATH = 0.01  # seconds until a socket whose backlog is full is tried again


class Residents:
    """The connections of one session; an answer may be `longest` octets."""

    __slots__ = ("_kept", "_longest")

    def __init__(self, longest: int) -> None:
        self._kept: dict[Address, _socket.socket] = {}
        self._longest = longest

    def ask(self, address: "Address", question: bytes, end: bytes, seconds: float) -> Outcome:
        """Put the `question` to the program at `address`: its answer, up to `end`, as an Outcome."""
        began = monotonic()
        try:
            how, code, answer = ANSWERED, 0, self._answer(address, question, end, began + seconds)
        except TimeoutError:
            how, code, answer = EXPIRED, 0, b""
        except Unreachable as fault:
            how, code, answer = UNSTARTED, fault.code, b""
        except OSError:
            how, code, answer = BROKEN, 0, b""
        return Outcome(how, code, answer, (monotonic() - began) * 1000, int(time()))

    def _answer(self, address: "Address", question: bytes, end: bytes, deadline: float) -> bytes:
        """A program may close a connection that it has not been asked on for a while: then it is asked anew.

        So it is where it has said more than it was asked for: that is no answer to this question.
        """
        connection = self._kept.pop(address, None)
        if connection is not None and not is_silent(connection):
            connection.close()
            connection = None
        answer = b"" if connection is None else self._put(connection, question, end, deadline, lost=b"")
        if connection is None or not answer:
            connection = connect(address, deadline)
            answer = self._put(connection, question, end, deadline, lost=None)
        self._kept[address] = connection
        return answer

    def _put(
        self, connection: "_socket.socket", question: bytes, end: bytes, deadline: float, lost: bytes | None
    ) -> bytes:
        """Question and answer; `lost` (None: OSError) where the connection ends before the first octet comes."""
        answer = b""
        try:
            _send(connection, question, deadline)
            while end not in answer:
                block = _receive(connection, deadline)
                if len(answer) + len(block) > self._longest:
                    raise OSError("the answer is too long")
                if not block:
                    raise ConnectionResetError
                answer += block
            if answer.index(end) + len(end) != len(answer):
                raise OSError("there is more than an answer")
        except OSError as fault:
            connection.close()
            if answer or lost is None or not isinstance(fault, ConnectionError):
                raise
            return lost
        return answer


class Unreachable(Exception):
    """Nobody listens; `code` is the errno or getaddrinfo(3)'s, the text says it in words."""

    def __init__(self, fault: OSError) -> None:
        super().__init__(fault.strerror or str(fault))
        self.code = fault.errno or 0


def connect(address: "Address", deadline: float) -> "_socket.socket":
    """A connection to `address`, wherever that is first reached. Raises TimeoutError, Unreachable."""
    fault = OSError()
    for family, target in _places(address, deadline):
        try:
            return _reach(family, target, deadline)
        except TimeoutError:
            raise
        except OSError as there:
            fault = there
    raise Unreachable(fault)


def _places(address: "Address", deadline: float) -> "list[tuple[int, Any]]":
    """Families and addresses as socket calls take them, one at least. Raises TimeoutError, Unreachable."""
    if isinstance(address, bytes):
        return [(_socket.AF_UNIX, address)]
    from qmailfork.system import hosts  # noqa: PLC0415  # most are on a Unix socket

    try:
        return hosts.locate(*address, deadline)
    except TimeoutError:
        raise
    except OSError as fault:
        raise Unreachable(fault) from None


def _reach(family: int, target: "Any", deadline: float) -> "_socket.socket":
    """A connection to one of them. Raises TimeoutError, OSError."""
    connection = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        while not _joins(connection, target, deadline):
            sleep(BREATH)
    except OSError:
        connection.close()
        raise
    connection.setblocking(False)
    return connection


def _joins(connection: "_socket.socket", target: "Any", deadline: float) -> bool:
    """Connect; False where the backlog of a Unix socket is full. Raises TimeoutError, OSError."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
    try:
        connection.connect(target)
    except BlockingIOError:
        return False
    return True


def is_silent(connection: "_socket.socket") -> bool:
    """Whether it neither ended nor has more to say than it was asked for, which is no answer to what comes next."""
    try:
        connection.recv(1, _socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _send(connection: "_socket.socket", question: bytes, deadline: float) -> None:
    while question:
        _await(connection, select.POLLOUT, deadline)
        question = question[connection.send(question) :]


def _receive(connection: "_socket.socket", deadline: float) -> bytes:
    _await(connection, select.POLLIN, deadline)
    return connection.recv(BLOCK)


def _await(connection: "_socket.socket", event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(connection.fileno(), event)
    if not poll.poll(max(deadline - monotonic(), 0) * 1000):
        raise TimeoutError
