"""The command `qmailfork`: what an operator needs beside the server."""

import click

from qmailfork import __version__
from qmailfork.cli.check import check
from qmailfork.cli.checker import checker
from qmailfork.cli.explain import explain
from qmailfork.cli.listen import listen
from qmailfork.cli.migrate import migrate
from qmailfork.cli.replay import replay
from qmailfork.cli.report import report
from qmailfork.cli.service import service
from qmailfork.cli.top import top


@click.group()
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
