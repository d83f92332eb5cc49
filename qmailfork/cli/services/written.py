"""Files brought to disk, and none overwritten that somebody has changed."""

import os
from collections.abc import Callable, Iterable

from qmailfork.cli.services.settings import File


class Unwritable(Exception):
    """A file cannot be written; the text names it and says why."""


def changed(files: dict[str, File]) -> list[str]:
    """Those that are there with another text. Raises Unwritable."""
    return [path for path, (text, _) in files.items() if _there(path) not in (None, text)]


def _there(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise Unwritable(f"{path}: {fault.strerror}") from None


def write(files: dict[str, File], only: Callable[[str], bool]) -> Iterable[str]:
    """Write those that are not there as they should be, and for which `only` is true; their paths. Raises Unwritable.

    Each takes its place whole: a supervisor that looks now sees the old file or the new one.
    """
    for path, (text, program) in files.items():
        if _there(path) != text and only(path):
            try:
                _put(path, text, 0o755 if program else 0o644)
            except OSError as fault:
                raise Unwritable(f"{path}: {fault.strerror}") from None
            yield path


def _put(path: str, text: str, mode: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{os.getpid()}"
    try:
        with open(draft, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.chmod(draft, mode)
        os.replace(draft, path)
    except OSError:
        if os.path.exists(draft):
            os.unlink(draft)
        raise
