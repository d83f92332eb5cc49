"""The queue program of a driver that may block (qmail-queue(8)): message on its descriptor 0, envelope on 1, the
words for exit code 82 from its 6 (notqmail) or 4 (the custom-error patch).
"""

import errno
import posix
import select
from time import monotonic

from qmailfork.programs import queue
from qmailfork.programs.outcome import UNSTARTED, Outcome
from qmailfork.system import children, spawn

PATIENCE = 5.0  # seconds for a program to end after its message was abandoned
_NO_ROOM = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class Queue:
    """One queue program at a time."""

    __slots__ = ("_began", "_broken", "_envelope", "_environment", "_errors", "_message", "_unstarted", "pid")

    def __init__(self, environment: dict[bytes, bytes]) -> None:
        self._environment = environment
        self._message = self._envelope = self._errors = -1
        self._broken = False
        self._unstarted: Outcome | None = None
        self._began = 0.0
        self.pid = 0

    def open(self, program: bytes) -> None:
        """Start `program`. One that cannot be executed is told by finish, as qmail-smtpd has it.

        Raises OSError where there is no room for a process or its pipes.
        """
        self._began, self._broken, self._unstarted = monotonic(), False, None
        its: list[int] = []
        try:
            for name in ("_message", "_envelope"):
                end, ours = posix.pipe()
                its.append(end)
                setattr(self, name, ours)
            self._errors, end = posix.pipe()
            its.append(end)
            self._launch(program, *its)
        except OSError:
            self.close()
            raise
        finally:
            for end in its:
                posix.close(end)

    def _launch(self, program: bytes, message: int, envelope: int, errors: int) -> None:
        try:
            self.pid = spawn.launch(
                [program], self._environment, ((message, 0), (envelope, 1), (errors, 6), (errors, 4))
            )
        except OSError as fault:
            if fault.errno in _NO_ROOM:
                raise
            reason = b"%b: %b" % (program, (fault.strerror or "").encode())
            self._unstarted = Outcome(UNSTARTED, fault.errno or 0, reason)
            self.pid = 0
            return
        posix.set_blocking(self._message, False)
        posix.set_blocking(self._envelope, False)

    def write(self, piece: bytes) -> None:
        """A piece of the message. A program that does not take it has its say at finish."""
        self._put(self._message, piece)

    def _put(self, descriptor: int, data: bytes) -> None:
        """Write everything, or find that nobody reads it."""
        if self._unstarted:
            return
        rest = memoryview(data)
        while rest and not self._broken:
            try:
                rest = rest[posix.write(descriptor, rest) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(descriptor, select.POLLOUT)
                poll.poll()
            except OSError:
                self._broken = True

    def finish(self, envelope: bytes) -> tuple[Outcome, bool]:
        """Hand over the `envelope`: the program's end, and whether it got everything."""
        self._close("_message")
        self._put(self._envelope, b"" if self._broken else envelope)
        self._close("_envelope")
        result = self._unstarted or children.outcome(self.pid, self._errors, None, queue.LONGEST_ERROR, self._began)
        self.close()
        return result, not self._broken

    def abandon(self) -> None:
        """End without an envelope, and let the program clear up."""
        self._close("_message")
        self._close("_envelope")
        if self.pid:
            children.outcome(
                self.pid, self._errors, monotonic() - self._began + PATIENCE, queue.LONGEST_ERROR, self._began
            )
        self.close()

    def _close(self, name: str) -> None:
        if getattr(self, name) >= 0:
            posix.close(getattr(self, name))
            setattr(self, name, -1)

    def close(self) -> None:
        """Let go of everything; a program that still runs sees no envelope, or has it whole."""
        for name in ("_message", "_envelope", "_errors"):
            self._close(name)
        self.pid = 0
