"""The one line that ends a command, and its exit code."""

from typing import IO, Any

import click


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
