"""The report as files, a page or a picture, each written whole or not at all."""

import os
import shutil
import stat
from collections.abc import Callable

from qmailfork.report.summary import Summary

Draw = Callable[[Summary], bytes]


class Impossible(Exception):
    """A file cannot be drawn or written; the text is one sentence that names the option."""


class Drawing:
    """A file at `path` that `option` asks for. Raises Impossible where a library is missing, or it cannot be written:
    nobody shall read a long log in vain.
    """

    def __init__(self, option: str, path: str) -> None:
        self._option, self._path = option, path
        self._draw = _drawer(option)
        self._put(b"")

    def write(self, summary: Summary) -> None:
        """Draw the `summary`, and let it take its place. Raises Impossible."""
        self._put(self._draw(summary))

    def _put(self, content: bytes) -> None:
        """Nothing at all only tries whether it can be written."""
        try:
            if _apart(self._path):
                _write(self._path, content)
            else:
                _replace(os.path.realpath(self._path), content)
        except OSError as fault:
            raise Impossible(f"{self._option}: {self._path}: {fault.strerror}") from None


def _drawer(option: str) -> Draw:
    load, library = _DRAWERS[option]
    try:
        return load()
    except ImportError as fault:
        words = f"{option}: needs the Python library {library} (pip install 'qmailfork[report]'): {fault}"
        raise Impossible(words) from None


def _page() -> Draw:
    from qmailfork.report.page import page  # noqa: PLC0415  # what it needs is an extra

    return lambda summary: page(summary).encode()


def _picture() -> Draw:
    from qmailfork.report.picture import png  # noqa: PLC0415  # likewise

    return png


_DRAWERS: dict[str, tuple[Callable[[], Draw], str]] = {
    "--html": (_page, "jinja2"),
    "--png": (_picture, "matplotlib"),
}


def _apart(path: str) -> bool:
    """Whether it is a pipe or a device, which nothing can replace."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _replace(path: str, content: bytes) -> None:
    draft = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{os.getpid()}"
    try:
        _write(draft, content)
        if os.path.exists(path):
            shutil.copymode(path, draft)
        if content:
            os.replace(draft, path)
    finally:
        if os.path.exists(draft):
            os.unlink(draft)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
