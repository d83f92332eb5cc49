"""Starting programs: the one launch function of all drivers.

posix_spawn is vfork inside, so that a large parent costs nothing. A program gets descriptors 0, 1, 2 and those it is
given, default signals, an empty mask, and a process group of its own. The working directory is the caller's.
"""

import errno
import posix

from qmailfork.conversation.settings import ControlFault
from qmailfork.system import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RESERVED = 9  # the highest descriptor that a program may be given


def seal() -> int:
    """Close to programs what this process inherited, and keep 3 to RESERVED occupied: a pipe of ours never stands
    where one of a program's descriptors goes. Returns a descriptor of /dev/null. Call it once, at the start.

    Children tell how they ended, even where a parent that ignored SIGCHLD left that behind (wait(2)).

    Raises ControlFault where so many descriptors cannot be had.
    """
    signals.signal(signals.SIGCHLD, signals.SIG_DFL)
    try:
        null = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
        for descriptor in _inherited():
            _withhold(descriptor)
        while null <= RESERVED:
            posix.set_inheritable(null, null <= 2)  # where we came without a standard descriptor, /dev/null is it
            null = posix.dup(null)
    except OSError as fault:
        raise ControlFault(f"descriptors up to {RESERVED + 1}: {fault.strerror}") from None
    return null


def _withhold(descriptor: int) -> None:
    try:
        posix.set_inheritable(descriptor, False)
    except OSError:
        pass  # the directory's own, closed by now


def _inherited() -> "Iterable[int]":
    """The open descriptors above 2, as far as this system tells."""
    try:
        listed = [int(name) for name in posix.listdir("/dev/fd")]
    except OSError:
        listed = []
    # FreeBSD's /dev/fd knows 0 to 2 alone unless fdescfs is mounted
    return [number for number in listed if number > 2] or range(3, 256)


def launch(argv: list[bytes], environment: "Mapping[bytes, bytes]", descriptors: "Iterable[tuple[int, int]]") -> int:
    """Start `argv` with `descriptors` (ours, its): its process id. Ours are above RESERVED, or the same as its.

    Raises OSError where exec fails.
    """
    try:
        return posix.posix_spawn(
            argv[0],
            argv,
            environment,
            file_actions=[(posix.POSIX_SPAWN_DUP2, ours, its) for ours, its in descriptors if ours != its],
            setpgroup=0,
            setsigmask=(),
            setsigdef=signals.IGNORED,
        )
    except ValueError as fault:  # an empty path, or a NUL in a word
        raise OSError(errno.EINVAL, str(fault)) from None


def confided(secret: bytes) -> int:
    """A descriptor to read `secret` from, which a pipe takes whole. Raises OSError."""
    ours, its = posix.pipe()
    posix.write(its, secret)
    posix.close(its)
    return ours


def as_checker(
    null: int, errors: int, its: int, captured: int, more: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """The descriptors (ours, its) of a checker, for launch().

    0 is `null`, 2 is `errors`, and so is 1 where another one is `captured`, which is `its` end of a pipe; `more` it
    finds beside them.
    """
    log = () if captured == 1 else ((errors, 1),)
    return ((null, 0), (errors, 2), *log, (its, captured), *more)


def capture(
    argv: list[bytes],
    environment: "Mapping[bytes, bytes]",
    null: int,
    errors: int,
    captured: int = 1,
    more: tuple[tuple[int, int], ...] = (),
) -> tuple[int, int]:
    """Start `argv` as a checker: its process id, and a non-blocking descriptor to read its output from.

    Its descriptors are those of as_checker(). Raises OSError.
    """
    ours, its = posix.pipe()
    try:
        pid = launch(argv, environment, as_checker(null, errors, its, captured, more))
    except OSError:
        posix.close(ours)
        raise
    finally:
        posix.close(its)
    posix.set_blocking(ours, False)
    return pid, ours


def reason(program: bytes, fault: OSError) -> bytes:
    """Why `program` was not started, in one line."""
    return b"%b: %b" % (program, (fault.strerror or "").encode())


def located(program: bytes, environment: "Mapping[bytes, bytes]") -> bytes:
    """The path of a program to be wrapped, as execvp(3) finds it, good in any directory; itself where it finds none."""
    if b"/" in program:
        return program if program.startswith(b"/") else posix.getcwdb() + b"/" + program
    for directory in environment.get(b"PATH", b"/usr/bin:/bin").split(b":"):
        path = (directory or posix.getcwdb()) + b"/" + program
        if posix.access(path, posix.X_OK):
            return path
    return program


def merged(environment: dict[bytes, bytes], more: "Mapping[bytes, bytes | None]") -> dict[bytes, bytes]:
    """`environment` with `more` over it, where None takes a variable away."""
    both = {**environment, **more}
    if None in more.values():
        return {name: value for name, value in both.items() if value is not None}
    return both  # type: ignore[return-value]  # no None there


def kill_group(pid: int, number: int) -> None:
    """Send signal `number` to the group that `pid` leads, if it is still there, and to `pid` if it has left it."""
    for kill in (posix.killpg, posix.kill):
        try:
            kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass
