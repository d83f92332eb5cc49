"""Lookups in a constant database, through the cdb library (cdb(5))."""

import posix

from qmailfork.conversation.settings import ControlFault
from qmailfork.system import library

HEAD = 2048  # octets of a cdb that tell where its tables are


class Database:
    """An open cdb file. Raises ControlFault where it cannot be opened or is damaged.

    It is read octet by octet as it is asked, or where it is `kept` at once and whole: then it stays what it was,
    whatever becomes of the file. The library would map it into memory, and who then overwrites the file in its place
    (cp, not mv) changes what we have, or ends us by SIGBUS.
    """

    __slots__ = ("_path", "_reader")

    def __init__(self, path: bytes, kept: bool = False) -> None:
        self._path = path
        cdblib = library.load("cdblib")
        try:
            self._reader = cdblib.Reader(_whole(path) if kept else _File(path))
        except Exception as fault:
            raise self._damaged(fault) from None

    def get(self, key: bytes) -> bytes | None:
        """The first value under `key`, None where there is none."""
        try:
            value = self._reader.get(key)
        except Exception as fault:  # a damaged file shows in the library as any of half a dozen exceptions
            raise self._damaged(fault) from None
        return None if value is None else bytes(value)

    def items(self) -> list[tuple[bytes, bytes]]:
        """Every key with its value, in the file's order."""
        try:
            return [(bytes(key), bytes(value)) for key, value in self._reader.items()]
        except Exception as fault:
            raise self._damaged(fault) from None

    def _damaged(self, fault: Exception) -> ControlFault:
        why = fault.strerror if isinstance(fault, OSError) and fault.strerror else fault
        return ControlFault(f"{self._path.decode(errors='surrogateescape')}: not a readable cdb ({why})")


def _whole(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class _File:
    """The octets of a file, to be had by slices. Raises OSError."""

    __slots__ = ("_file", "_head", "_length")

    def __init__(self, path: bytes) -> None:
        self._file = open(path, "rb", buffering=0)
        self._head = posix.pread(self._file.fileno(), HEAD, 0)
        self._length = posix.fstat(self._file.fileno()).st_size

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> bytes:
        if part.stop <= HEAD:
            return self._head[part]
        return posix.pread(self._file.fileno(), part.stop - part.start, part.start)

    def close(self) -> None:
        """The reader is done with it."""
        self._file.close()
