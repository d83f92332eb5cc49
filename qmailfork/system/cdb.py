"""Lookups in a constant database, through the cdb library (cdb(5))."""

from qmailfork.conversation.settings import ControlFault
from qmailfork.system import library


class Database:
    """An open cdb file. Raises ControlFault where it cannot be opened or is damaged."""

    __slots__ = ("_path", "_reader")

    def __init__(self, path: bytes) -> None:
        self._path = path
        cdblib = library.load("cdblib")
        try:
            self._reader = cdblib.Reader.from_file_path(path)
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
