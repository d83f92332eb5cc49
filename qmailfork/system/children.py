"""Waiting for programs, for a driver that may block."""

import posix
import select
from time import monotonic, time

from qmailfork.programs.outcome import EXITED, EXPIRED, SIGNALLED, Outcome
from qmailfork.system import signals, spawn

BLOCK = 65536  # octets read at once
SOON = 20  # milliseconds after which a child is looked after that no descriptor tells of
GRACE = 1.0  # seconds for one that was killed to end: the kernel may hold it, or another user's rights keep it


def found(poll: select.poll, seconds: float) -> list[tuple[int, int]]:
    """What `poll` finds within `seconds`, nothing where nothing comes."""
    left = seconds * 1000
    while not (ready := poll.poll(min(left, signals.NOTICED))) and left > signals.NOTICED:
        left -= signals.NOTICED
    return ready


def ready(descriptor: int, events: int, seconds: float) -> int:
    """Which of `events` (poll(2)) come to `descriptor` within `seconds`, 0 for none."""
    poll = select.poll()
    poll.register(descriptor, events)
    came = found(poll, seconds)
    return came[0][1] if came else 0


class Watch:
    """A descriptor that turns readable when the child `pid` may have ended: a pidfd, or else a pipe that SIGCHLD
    writes to. It is -1, and the child has to be looked after, where none can be had.
    """

    __slots__ = ("_pid", "_pipe", "descriptor")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._pipe: tuple[int, ...] = ()
        self.descriptor = -1
        try:
            if hasattr(posix, "pidfd_open"):
                self.descriptor = posix.pidfd_open(pid)
            else:
                self._listen()
        except OSError:
            pass

    def _listen(self) -> None:
        self._pipe = posix.pipe()
        self.descriptor = self._pipe[0]
        for end in self._pipe:
            posix.set_blocking(end, False)
        signals.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        signals.signal(signals.SIGCHLD, lambda number, frame: None)
        posix.write(self._pipe[1], b"\0")  # it may have ended before the handler stood

    def attend(self, poll: select.poll) -> int:
        """Have `poll` tell of the end: the most milliseconds that one wait may take."""
        if self.descriptor < 0:
            return SOON
        poll.register(self.descriptor, select.POLLIN)
        return signals.NOTICED

    def status(self) -> int | None:
        """The child's wait status once it has ended, else None."""
        if self._pipe:
            posix.read(self.descriptor, BLOCK)
        pid, status = posix.waitpid(self._pid, posix.WNOHANG)
        return status if pid else None

    def close(self) -> None:
        """Give the descriptors back."""
        if self._pipe:
            signals.set_wakeup_fd(-1)
            posix.close(self._pipe[1])
        if self.descriptor >= 0:
            posix.close(self.descriptor)


class Wait:
    """The wait for the program `pid`, which writes to `pipe`; at most `keep` octets of its output are kept."""

    __slots__ = ("_keep", "_longest", "_pid", "_pipe", "_poll", "_watch", "output", "status")

    def __init__(self, pid: int, pipe: int, keep: int) -> None:
        self.status: int | None = None
        self._pid = pid
        self.output = b""
        self._keep = keep
        self._pipe = pipe
        self._watch = Watch(pid)
        self._poll = select.poll()
        self._poll.register(pipe, select.POLLIN)
        self._longest = self._watch.attend(self._poll)

    def step(self, milliseconds: float) -> None:
        """Wait for the next thing to happen, at most so long, and take it in."""
        for descriptor, _ in self._poll.poll(min(milliseconds, self._longest)):
            if descriptor != self._pipe:
                self.status = self._watch.status() if self.status is None else self.status
            elif block := posix.read(self._pipe, BLOCK):
                self.output = (self.output + block)[: self._keep]
            else:
                self._poll.unregister(self._pipe)
        if self._watch.descriptor < 0 and self.status is None:
            self.status = self._watch.status()

    def kill(self) -> None:
        """End the program with its group. One that does not end for it is left to itself."""
        spawn.kill_group(self._pid, signals.SIGKILL)
        until = monotonic() + GRACE
        try:
            while self.status is None and (left := until - monotonic()) > 0:
                self.step(left * 1000 + 1)
        except ChildProcessError:
            pass  # broken off right after the first time

    def close(self) -> None:
        """Take what is left of the output, once: a child left behind may go on writing for ever."""
        if self.status is not None and len(self.output) < self._keep:
            self.step(0)
        self._watch.close()


def outcome(pid: int, pipe: int, seconds: float | None, keep: int, began: float, held: tuple[int, ...] = ()) -> Outcome:
    """Wait for the program `pid`, which writes to `pipe`, and say how it ended.

    It ends when its own process does, whoever else holds the pipe. At the end of `seconds` (None: no limit) its group
    is killed, as it is when the wait is broken off by an exception. `began` is a monotonic time. The signals `held`
    back since before the start are let through now that the program would not be left behind.
    """
    wait = Wait(pid, pipe, keep)
    left = None if seconds is None else began + seconds - monotonic()
    try:
        if held:
            signals.pthread_sigmask(signals.SIG_UNBLOCK, held)
        while wait.status is None and (left is None or left > 0):
            wait.step(signals.NOTICED if left is None else left * 1000 + 1)
            left = None if seconds is None else began + seconds - monotonic()
        status = wait.status
        if status is None:
            wait.kill()
    except BaseException:
        if wait.status is None:
            wait.kill()
        raise
    finally:
        wait.close()
    took = (monotonic() - began) * 1000
    if status is None:
        return expired(wait.output, took)
    return ended(status, wait.output, took)


def expired(output: bytes, milliseconds: float) -> Outcome:
    """How a child ended whose time was over."""
    return Outcome(EXPIRED, 0, output, milliseconds, int(time()))


def ended(status: int, output: bytes, milliseconds: float) -> Outcome:
    """The outcome that a wait `status` tells."""
    code = posix.waitstatus_to_exitcode(status)
    return Outcome(EXITED if code >= 0 else SIGNALLED, abs(code), output, milliseconds, int(time()))
