"""The addresses of a host by name, as the system finds it (getaddrinfo(3)), for no longer than is said.

The system sets itself no limit that could be told to it, so a thread asks; one that gets no answer is left to itself.
"""

import _socket
import _thread
from time import monotonic

from qmailfork.system import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Place = tuple[int, tuple[object, ...]]  # family and address

STACK = 1 << 20  # octets: a thread's usual 8 MiB are more than a softlimit may leave, and under one it takes all


def locate(host: bytes, port: int, deadline: float) -> "list[Place]":
    """Where `host` is, the best place first; an address needs no question.

    Raises OSError; TimeoutError at `deadline` (monotonic()).
    """
    try:
        return written(host, port)
    except OSError:
        return _Question(host, port).answer(deadline)


def written(host: bytes, port: int) -> "list[Place]":
    """Where the address `host` is. Raises OSError for a name."""
    return _ask(host, port, _socket.AI_NUMERICHOST)


def _ask(host: bytes, port: int, flags: int = 0) -> "list[Place]":
    found = _socket.getaddrinfo(host, port, type=_socket.SOCK_STREAM, flags=flags)
    return [(family, target) for family, _, _, _, target in found]


class _Question:
    """A question that another thread puts to the system."""

    __slots__ = ("_found", "_host", "_port", "_waiting")

    def __init__(self, host: bytes, port: int) -> None:
        self._host = host
        self._port = port
        self._found: list[Place] | OSError | None = None
        self._waiting = _thread.allocate_lock()

    def answer(self, deadline: float) -> "list[Place]":
        self._waiting.acquire()
        _start(self._put)
        if not self._waiting.acquire(timeout=max(deadline - monotonic(), 0)) or self._found is None:
            raise TimeoutError
        if isinstance(self._found, OSError):
            raise self._found
        return self._found

    def _put(self) -> None:
        try:
            self._found = _ask(self._host, self._port)
        except OSError as fault:
            self._found = fault
        finally:
            self._waiting.release()


def _start(work: "Callable[[], None]") -> None:
    """Start a thread that gets no signals: they are for the one that serves the client. Raises OSError."""
    before = signals.pthread_sigmask(signals.SIG_BLOCK, signals.valid_signals())
    try:
        _thread.stack_size(STACK)
        _thread.start_new_thread(work, ())
    except RuntimeError as fault:
        raise OSError(str(fault)) from None
    finally:
        signals.pthread_sigmask(signals.SIG_SETMASK, before)
