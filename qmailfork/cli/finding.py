"""A finding, and how it is shown."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import NamedTuple

import click

WARNING, ERROR = 1, 2  # the exit status, too
WIDEST = 100  # columns


class Finding(NamedTuple):
    """How bad it is, where, what it is, why it matters, and how to mend it."""

    level: int
    where: str
    what: str
    why: str
    mend: str

    @property
    def word(self) -> str:
        """How bad, in a word."""
        return "error" if self.level == ERROR else "warning"


def show(found: list[Finding]) -> None:
    """Each on the terminal, and a line where there are none."""
    for one in found:
        click.secho(wrapped("", f"{one.word}: {one.where}: {one.what}"), fg="red" if one.level == ERROR else "yellow")
        click.echo(wrapped("  ", one.why))
        click.echo(wrapped("  mend: ", one.mend))
    if not found:
        click.secho("nothing found", fg="green")


def wrapped(begins: str, words: str) -> str:
    """`words` on a terminal, as wide as that is; in one line for a program that reads it."""
    if not sys.stdout.isatty():
        return begins + words
    width = min(shutil.get_terminal_size().columns, WIDEST)
    return textwrap.fill(
        words, width, initial_indent=begins, subsequent_indent=" " * max(len(begins), 2),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def as_json(found: list[Finding]) -> str:
    """A list of objects."""
    return json.dumps([{**one._asdict(), "level": one.word} for one in found])


def worst(found: Iterable[Finding]) -> int:
    """The exit status."""
    return max((one.level for one in found), default=0)


def once(found: Iterable[Finding]) -> list[Finding]:
    """Each finding once, in the order in which they came."""
    return list(dict.fromkeys(found))
