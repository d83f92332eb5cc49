"""The lines of the files that are read, each with where it stands."""

import os
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 16 * 1024 * 1024  # octets of one file


class Unreadable(Exception):
    """A file that cannot be read as a configuration; the text names it and says why."""


class Line(NamedTuple):
    """The text of a line, and where it stands, as in `tcp.smtp:3`."""

    text: str
    where: str


def text(path: str) -> str:
    """All of a file. Raises Unreadable."""
    try:
        with open(path, "rb") as file:
            octets = file.read(LONGEST + 1)
    except (OSError, ValueError) as fault:
        raise Unreadable(f"{path}: {getattr(fault, 'strerror', None) or 'no such name'}") from None
    if len(octets) > LONGEST:
        raise Unreadable(f"{path}: longer than {LONGEST} octets: no configuration")
    for number, line in enumerate(octets.split(b"\n"), 1):
        if any(octet < 32 and octet != 9 for octet in line.removesuffix(b"\r")):
            raise Unreadable(f"{path}:{number}: control characters: no text")
    return os.fsdecode(octets)


def lines(path: str) -> Iterator[Line]:
    """Those that are not empty and no comment, without the blanks at their ends. Raises Unreadable."""
    for number, line in enumerate(text(path).split("\n"), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            yield Line(line, f"{path}:{number}")
