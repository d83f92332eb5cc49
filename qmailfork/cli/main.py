"""The command `qmailfork`: what an operator needs beside the server."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from qmailfork import __version__
from qmailfork.cli.check import check
from qmailfork.cli.checker import checker
from qmailfork.cli.explain import explain
from qmailfork.cli.faults import Fatal
from qmailfork.cli.listen import listen
from qmailfork.cli.migrate import migrate
from qmailfork.cli.replay import replay
from qmailfork.cli.report import report
from qmailfork.cli.service import service
from qmailfork.cli.top import top

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Commands(click.Group):
    """Commands that say in one line that standard output takes no more."""

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        """The command line, read; --help is written here. Raises Fatal."""
        with _room():
            return super().make_context(*given, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises Fatal."""
        with _room():
            return super().invoke(ctx)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        if fault.errno not in FULL or not _is_stuck():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is written at the end still
        raise Fatal(f"standard output: {fault.strerror}") from None


def _is_stuck() -> bool:
    """Whether it is standard output that takes no more: the end of a line is tried there."""
    try:
        os.write(1, b"\n")
    except OSError:
        return True
    return False


@click.group(cls=Commands)
@click.version_option(__version__)
def main() -> None:
    """Run and understand qmailfork, a qmail-smtpd that asks your own programs about every recipient."""


main.add_command(listen)
main.add_command(checker)
main.add_command(explain)
main.add_command(check)
main.add_command(service)
main.add_command(migrate)
main.add_command(report)
main.add_command(replay)
main.add_command(top)
