"""The hand-over to a queue program (qmail-queue(8)): message on its descriptor 0, envelope on 1, its words for exit
code 82 from its 6 (notqmail) or 4 (the custom-error patch).

A Handover never waits; give(), finish() and abandon() do, for a driver that may block.
"""

import errno
import posix
import select
from time import monotonic

from qmailfork.programs.outcome import UNSTARTED, Outcome
from qmailfork.programs.queue import LONGEST_ERROR
from qmailfork.system import children, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 5.0  # seconds for a program to end after its message was abandoned
A_WHILE = 1.0  # seconds without its reading after which a program is looked after
NOTHING = memoryview(b"")
_NO_ROOM = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class Handover:
    """A queue program that was started, and our ends of its pipes.

    `message` and `envelope` are written without blocking, `words` is read; -1 once closed. `broken` once it did not
    take what it was given, `said` is the beginning of what was read of its words. `unstarted` is the outcome where it
    could not be executed (`pid` is 0): qmail-smtpd tells the client so at the end of the message. `began` is a
    monotonic time.

    Raises OSError where there is no room for a process or its pipes.
    """

    __slots__ = ("began", "broken", "envelope", "message", "pid", "said", "unstarted", "words")

    def __init__(self, program: bytes, environment: "Mapping[bytes, bytes]", errors: int) -> None:
        self.began = monotonic()
        self.broken = False
        self.said = b""
        self.unstarted: Outcome | None = None
        self.pid = 0
        pipes: list[tuple[int, int]] = []
        try:
            for _ in range(3):
                pipes.append(posix.pipe())
            (message, self.message), (envelope, self.envelope), (self.words, words) = pipes
            self._launch(program, environment, ((message, 0), (envelope, 1), (errors, 2), (words, 6), (words, 4)))
        except OSError:
            for ends in pipes:
                for end in ends:
                    posix.close(end)
            raise
        for its in (message, envelope, words):
            posix.close(its)
        for ours in (self.message, self.envelope, self.words):
            posix.set_blocking(ours, False)

    def _launch(
        self, program: bytes, environment: "Mapping[bytes, bytes]", descriptors: tuple[tuple[int, int], ...]
    ) -> None:
        try:
            self.pid = spawn.launch([program], environment, descriptors)
        except OSError as fault:
            if fault.errno in _NO_ROOM:
                raise
            self.unstarted = Outcome(UNSTARTED, fault.errno or 0, spawn.reason(program, fault))

    def put(self, descriptor: int, rest: memoryview) -> memoryview:
        """Write as much of `rest` as it takes now: what is left, nothing where nobody reads any more."""
        if self.unstarted is not None:
            return NOTHING
        try:
            while rest and not self.broken:
                rest = rest[posix.write(descriptor, rest) :]
        except BlockingIOError:
            return rest
        except OSError:
            self.broken = True
        return NOTHING

    def drain(self) -> None:
        """Take what the program wrote for exit code 82 into `said`, lest it waits for a reader."""
        try:
            while block := posix.read(self.words, children.BLOCK):
                self.said = (self.said + block)[:LONGEST_ERROR]
        except OSError:
            return

    def look_after(self) -> None:
        """See to a program that does not read: it may write, or have ended and left its pipes to a child."""
        self.drain()
        if self.pid and posix.waitid(posix.P_PID, self.pid, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT):
            self.broken = True

    def end_message(self) -> int:
        """No more of the message comes; the descriptor to close."""
        message, self.message = self.message, -1
        return message

    def end_envelope(self) -> int:
        """No more of the envelope comes; the descriptor to close."""
        envelope, self.envelope = self.envelope, -1
        return envelope

    def open_ends(self) -> list[int]:
        """The descriptors that are still open, to be closed by the caller."""
        ends = [end for end in (self.message, self.envelope, self.words) if end >= 0]
        self.message = self.envelope = self.words = -1
        return ends


def give(handover: Handover, descriptor: int, data: bytes) -> None:
    """Give the program `data`, as long as it takes it."""
    rest = handover.put(descriptor, memoryview(data))
    while rest:
        if not children.ready(descriptor, select.POLLOUT, A_WHILE):
            handover.look_after()
        rest = handover.put(descriptor, rest)


def finish(handover: Handover, envelope: bytes) -> Outcome:
    """The message is whole: give the program the `envelope`, and say how it ended."""
    posix.close(handover.end_message())
    give(handover, handover.envelope, envelope)
    posix.close(handover.end_envelope())
    outcome = handover.unstarted or children.outcome(handover.pid, handover.words, None, LONGEST_ERROR, handover.began)
    if handover.said:
        outcome.output = (handover.said + outcome.output)[:LONGEST_ERROR]
    return outcome


def abandon(handover: Handover) -> None:
    """Let the program see an end without envelope, and wait for its own; it is killed where that does not come."""
    posix.close(handover.end_message())
    posix.close(handover.end_envelope())
    if handover.pid:
        children.outcome(handover.pid, handover.words, PATIENCE, LONGEST_ERROR, monotonic())
