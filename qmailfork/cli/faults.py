"""What ends a command that cannot go on, in one line each, and its exit code."""

import sys
from collections.abc import Iterable
from typing import IO, Any, NoReturn

import click

from qmailfork.cli import words

UNREADABLE = 111  # what a command goes by, or a log, cannot be read; the server ends so, too


class Fatal(click.ClickException):
    """What may be better later: 111, as with tcpserver."""

    exit_code = 111
    kind = "fatal"

    def show(self, file: IO[Any] | None = None) -> None:
        """The line, on standard error."""
        click.echo(f"qmailfork: {self.kind}: {' '.join(self.format_message().split())}", file=file, err=True)


class Usage(Fatal):
    """A command line that makes no sense: 100, as with tcpserver."""

    exit_code = 100
    kind = "usage"


class Refusal(click.ClickException):
    """Nothing was written, for this reason."""

    exit_code = 2

    def format_message(self) -> str:
        """In one line that a terminal can show."""
        return words.shown(self.message.encode("utf-8", "surrogateescape"), 1000)


def end(command: str, faults: Iterable[str], status: int) -> NoReturn:
    """Say the `faults` that `command` has met, each in a line on standard error, and end with this exit `status`."""
    for fault in faults:
        click.echo(f"qmailfork {command}: {fault}", err=True)
    sys.exit(status)


class Strict(click.Command):
    """A command that tells what is wrong with its command line in one line."""

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        """The command line, read. Raises Usage."""
        try:
            return super().make_context(*given, **more)
        except click.UsageError as fault:
            raise Usage(fault.format_message()) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run. Raises Usage."""
        try:
            return super().invoke(ctx)
        except click.UsageError as fault:
            raise Usage(fault.format_message()) from None
