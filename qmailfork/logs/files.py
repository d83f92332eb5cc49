"""The files of a log: multilog's, svlogd's and s6-log's directories, single files, compressed ones, standard input."""

import bz2
import errno
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from qmailfork.logs import stamps

BLOCK = 1 << 20  # octets read at a time
LONGEST = 65536  # octets of a line; multilog cuts them far earlier
STDIN = "-"
_WITHIN = ("", "main", "log/main")  # a log's directory, its service's, the one beside it
_READING = (OSError, EOFError, lzma.LZMAError, zlib.error)


class Unreadable(Exception):
    """A log that cannot be read, or not whole; the text is one sentence that names it."""


def found(path: str, since: int = 0) -> list[str]:
    """The files of the log `path`, the oldest first, without those that ended before `since`. Raises Unreadable."""
    if path == STDIN or not os.path.isdir(path):
        return [path]
    for within in _WITHIN:
        directory = os.path.join(path, within) if within else path
        try:
            names = sorted(os.listdir(directory))
        except FileNotFoundError:
            continue
        except OSError as fault:
            raise Unreadable(f"{directory}: {fault.strerror}") from None
        files = [name for name in names if name.startswith("@") and not name.endswith(".t") and _ended(name) >= since]
        files += ["current"] * ("current" in names)
        if files or any(name.startswith("@") for name in names):
            return [os.path.join(directory, name) for name in files]
    raise Unreadable(f"{path}: no log in this directory, neither current nor files whose names begin with @")


def _ended(name: str) -> int:
    """When the file `name` was closed; far from now where it does not say."""
    try:
        return stamps.tai64n(name.encode(errors="replace"))
    except ValueError:
        return stamps.LATEST


def size(path: str) -> int:
    """The octets of a file on the disk; 0 where that is not known."""
    try:
        return 0 if path == STDIN else os.stat(path).st_size
    except OSError:
        return 0


def blocks(path: str, progress: Callable[[int], object]) -> Iterator[bytes]:
    """The file's content in blocks; `progress` is told the octets that were read from the disk. Raises Unreadable."""
    try:
        with _raw(path) as raw:
            yield from _counted(_plain(path, raw), raw, progress)
    except _faults() as fault:
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else f"damaged or cut short: {fault}"
        raise Unreadable(f"{_called(path)}: {reason}") from None


def _called(path: str) -> str:
    return "standard input" if path == STDIN else path


class Lines:
    """Takes blocks apart. `rest` is what has no end yet, and `overlong` counts lines that got too long without one:
    they are dropped, so that no file without line ends fills the memory.
    """

    def __init__(self) -> None:
        self.rest = b""
        self.overlong = 0
        self._skipping = False

    def of(self, block: bytes) -> list[bytes]:
        """The lines that `block` makes whole."""
        *lines, self.rest = (self.rest + block).split(b"\n")
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        if len(self.rest) > LONGEST:
            self.overlong += not self._skipping
            self.rest, self._skipping = b"", True
        elif self._skipping:
            self.rest = b""
        return lines


def _raw(path: str) -> io.BufferedReader:
    if path != STDIN:
        return io.BufferedReader(io.FileIO(path), BLOCK)
    if sys.stdin is None:  # whoever started us has closed it
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), BLOCK)


def _counted(plain: io.BufferedIOBase, raw: io.BufferedReader, progress: Callable[[int], object]) -> Iterator[bytes]:
    countable, at = raw.seekable(), 0
    read = plain.read1 if isinstance(plain, io.BufferedReader) else plain.read  # a pipe gives what it has
    while block := read(BLOCK):
        yield block
        if countable:
            now = raw.tell()
            progress(now - at)
            at = now


def _plain(path: str, raw: io.BufferedReader) -> io.BufferedIOBase:
    """What `raw` holds, by its first octets and not by its name."""
    head = raw.peek(6)[:6]
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(raw)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstandard(path, raw)
    return raw


def _zstandard(path: str, raw: io.BufferedReader) -> io.BufferedIOBase:
    try:
        import zstandard  # noqa: PLC0415  # an extra
    except ImportError:
        raise Unreadable(f"{_called(path)}: compressed by zstd, and the library zstandard is not installed") from None
    decompressor: Any = zstandard.ZstdDecompressor()
    reader: io.BufferedIOBase = decompressor.stream_reader(raw, read_across_frames=True)
    return reader


def _faults() -> tuple[type[Exception], ...]:
    library = sys.modules.get("zstandard")
    return (*_READING, library.ZstdError) if library else _READING
