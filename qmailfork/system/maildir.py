"""Delivery into a Maildir (maildir(5)), the working directory: through tmp/ into new/, safe on disk."""

import errno
import posix
import select
import time

from qmailfork.programs.envelope import READ_ERROR, Refused
from qmailfork.system import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Exit codes of qmail-queue(8), read for a Maildir.
WRITE_ERROR, MAILDIR, DIRECTORY, CREATION, PUBLICATION = 53, 61, 62, 63, 64
KEPT_IN_MEMORY = 256 * 1024  # octets; a longer message waits for its envelope in a file
BLOCK = 64 * 1024  # octets: what a pipe holds

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NEW_FILE = posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC


class Refusing:
    """A block whose OSError is refused with a code and the reason; a full disk is always a write error."""

    __slots__ = ("_code", "_subject")

    def __init__(self, code: int, subject: str) -> None:
        self._code = code
        self._subject = subject

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            code = WRITE_ERROR if error.errno in _FULL else self._code
            raise Refused(code, f"{self._subject}: {error.strerror}") from None


def enter(path: str) -> None:
    """Make the Maildir the working directory. Raises Refused with 61."""
    with Refusing(MAILDIR, path):
        posix.chdir(path)


def blocks_of(descriptor: int) -> "Iterator[bytes]":
    """Yield what can be read from the descriptor, in blocks of at most BLOCK octets. Raises OSError."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        while not poll.poll(signals.NOTICED):
            pass
        if not (block := posix.read(descriptor, BLOCK)):
            return
        yield block


class Spool:
    """A message of any length that waits for its envelope: in memory, or if long in a file without a name."""

    __slots__ = ("_blocks", "_descriptor", "_size")

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._descriptor = -1
        self._size = 0

    def add(self, block: bytes) -> None:
        """Append octets. Raises Refused: 53 for a write error, 63 when the file cannot be made."""
        self._size += len(block)
        if self._descriptor < 0 and self._size > KEPT_IN_MEMORY:
            self._descriptor = _nameless_file()
        if self._descriptor < 0:
            self._blocks.append(block)
        else:
            _write(self._descriptor, block)

    def blocks(self) -> "Iterator[bytes]":
        """Yield the message from its beginning, once. Raises Refused with 54."""
        yield from self._blocks
        if self._descriptor >= 0:
            with Refusing(READ_ERROR, "tmp"):
                posix.lseek(self._descriptor, 0, 0)
                yield from blocks_of(self._descriptor)


class Draft:
    """A file in tmp/ that becomes a message in new/, whole and safe on disk, or nothing."""

    __slots__ = ("_descriptor", "_directory", "_name")

    def __init__(self) -> None:
        self._name = _unique_name()  # known before the file is there, so that discard finds it at any time
        self._descriptor = self._directory = -1

    def create(self) -> None:
        """Create the file. Raises Refused: 62 when new/ cannot be opened, 63 when the file cannot be made."""
        with Refusing(DIRECTORY, "new"):
            self._directory = posix.open("new", posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        with Refusing(CREATION, "tmp"):
            self._descriptor = posix.open("tmp/" + self._name, posix.O_WRONLY | _NEW_FILE, 0o600)

    def write(self, data: bytes) -> None:
        """Append octets. Raises Refused with 53."""
        _write(self._descriptor, data)

    def secure(self) -> None:
        """Bring the file to the disk. Raises Refused with 53."""
        with Refusing(WRITE_ERROR, "tmp"):
            posix.fsync(self._descriptor)

    def publish(self) -> None:
        """Move the file into new/, and that to the disk. Raises Refused: 64 or 53, with nothing in new/."""
        with Refusing(PUBLICATION, "new"):
            posix.rename("tmp/" + self._name, "new/" + self._name)
        try:
            posix.fsync(self._directory)
        except OSError as error:
            posix.unlink("new/" + self._name)
            raise Refused(WRITE_ERROR, f"new: {error.strerror}") from None

    def discard(self) -> None:
        """Remove the file from tmp/, if it is there."""
        _remove("tmp/" + self._name)


def _unique_name() -> str:
    """Return a name that no other delivery makes (maildir(5)): time, microseconds, process, chance, host."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    host = posix.uname().nodename.replace("/", "\\057").replace(":", "\\072")
    return f"{seconds}.M{nanoseconds // 1000}P{posix.getpid()}R{posix.urandom(8).hex()}.{host}"


def _nameless_file() -> int:
    path = "tmp/" + _unique_name()
    try:
        with Refusing(CREATION, "tmp"):
            return posix.open(path, posix.O_RDWR | _NEW_FILE, 0o600)
    finally:
        _remove(path)


def _remove(path: str) -> None:
    try:
        posix.unlink(path)
    except OSError:
        pass


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    with Refusing(WRITE_ERROR, "tmp"):
        while view:
            view = view[posix.write(descriptor, view) :]
