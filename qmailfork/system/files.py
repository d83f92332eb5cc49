"""Reading small files as qmail's control.c does."""

import posix

from qmailfork.conversation.settings import ControlFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result

    Version = tuple[int, int, int, int]

_BLANKS = b" \t\n"


def read(path: bytes) -> bytes | None:
    """The whole file, None where there is none. Raises ControlFault."""
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise unreadable(path, fault) from None
    try:
        return _read_all(descriptor)
    except OSError as fault:
        raise unreadable(path, fault) from None
    finally:
        posix.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    pieces = []
    while piece := posix.read(descriptor, 65536):
        pieces.append(piece)
    return b"".join(pieces)


def unreadable(path: bytes, fault: OSError | ValueError) -> ControlFault:
    """`path` cannot be read because of `fault`, in one line."""
    why = getattr(fault, "strerror", None) or fault
    return ControlFault(f"{path.decode(errors='surrogateescape')}: {why}")


def version(stat: "stat_result") -> "Version":
    """What tells one version of a file from another: device, inode, time of change in nanoseconds, octets."""
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size


def first_line(path: bytes) -> bytes | None:
    """The first line without blanks at its end, None where there is no file. Raises ControlFault."""
    text = read(path)
    return None if text is None else text.partition(b"\n")[0].rstrip(_BLANKS)


def lines(path: bytes) -> list[bytes] | None:
    """The lines that say something: neither empty nor beginning with #. None where there is no file."""
    text = read(path)
    if text is None:
        return None
    stripped = [line.rstrip(_BLANKS) for line in text.split(b"\n")]
    return [line for line in stripped if line and not line.startswith(b"#")]


def number(text: bytes | None) -> int | None:
    """The decimal number that `text` begins with, None where it begins with none (scan_ulong)."""
    digits = (text or b"")[:20]
    while digits and not digits.isdigit():
        digits = digits[:-1]
    return int(digits) if digits else None
