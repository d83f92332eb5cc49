"""The command `qmailfork`: what an operator needs beside the server."""

import click

from qmailfork import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Run and understand qmailfork, a qmail-smtpd that asks your own programs about every recipient."""
