"""The command `qmailfork`: what an operator needs beside the server."""

import errno
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from qmailfork import __version__
from qmailfork.cli.faults import Fatal

COMMANDS = ("check", "checker", "explain", "listen", "migrate", "replay", "report", "service", "top")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Commands(click.Group):
    """Commands that are imported when they are asked for, and say in one line that standard output takes no more, or
    that they are nowhere.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, which its module defines under the same name; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"qmailfork.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def main(self, *given: Any, **more: Any) -> Any:
        """Be the program."""
        _stand_in()
        return super().main(*given, **more)

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        """The command line, read; --help is written here. Raises Fatal."""
        with _room():
            return super().make_context(*given, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises Fatal."""
        with _room():
            return super().invoke(ctx)


def _stand_in() -> None:
    """/dev/null is standard output or error where that is closed: no file of ours comes to stand there."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w", encoding="utf-8"))


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        if _is_somewhere():
            raise
        raise click.UsageError("the current directory is not there any more") from None
    except OSError as fault:
        if fault.errno not in FULL or not _is_stuck():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is written at the end still
        raise Fatal(f"standard output: {fault.strerror}") from None


def _is_somewhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


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
