"""An env-dir, read as envdir(8) reads it: a file is a variable, its first line the value."""

import posix

from qmailfork.system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping


def read(directory: bytes) -> dict[bytes, bytes | None]:
    """The variables that `directory` sets; None for one that it takes away.

    Raises ControlFault where it, or a file in it, cannot be read.
    """
    try:
        names = sorted(posix.listdir(directory))
    except OSError as fault:
        raise files.unreadable(directory, fault) from None
    return {name: _value(directory + b"/" + name) for name in names if not name.startswith(b".")}


def _value(path: bytes) -> bytes | None:
    """A NUL stands for a newline; a file of no length takes the variable away."""
    text = files.read(path)
    if not text:
        return None
    return text.partition(b"\n")[0].rstrip(b" \t").replace(b"\0", b"\n")


def apply(directory: bytes, environment: "MutableMapping[bytes, bytes]") -> None:
    """Change `environment` as `directory` says. Raises ControlFault."""
    for name, value in read(directory).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
