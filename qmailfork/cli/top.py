"""`qmailfork top`: what a listener does, live in the terminal."""

import json
import signal
import sys
import threading

import click

from qmailfork.cli import metering
from qmailfork.cli.faults import Fatal, Strict


@click.command(cls=Strict)
@click.argument("address", metavar="unix:PATH|HOST:PORT")
@click.option("--once", is_flag=True, help="Print it once.")
@click.option("--json", "as_json", is_flag=True, help="Print it once, in JSON.")
@click.option(
    "--every", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, help="Seconds between two looks."
)
def top(address: str, once: bool, as_json: bool, every: float) -> None:
    """Show what a listener does: sessions, recipients, replies, checkers and the queue.

    The listener tells it where its option --metrics says. Ctrl-C ends it.

    Exit status: 0; 100, wrong usage; 111, the listener does not tell.
    """
    metering.expect("top")
    from qmailfork.cli.counted import Unread, read  # noqa: PLC0415  # what it needs is an extra

    if not (once or as_json or sys.stdout.isatty()):
        raise click.UsageError("standard output is no terminal: --once or --json prints the numbers once")
    try:
        if as_json:
            click.echo(json.dumps(read(address).as_json()))
        else:
            _show(address, once, every)
    except Unread as fault:
        raise Fatal(str(fault)) from None


def _show(address: str, once: bool, every: float) -> None:
    """Print it once, or until Ctrl-C. Raises Unread."""
    from rich.console import Console  # noqa: PLC0415  # --json does without it
    from rich.live import Live  # noqa: PLC0415

    from qmailfork.cli.counted import read  # noqa: PLC0415  # as above
    from qmailfork.cli.screen import screen  # noqa: PLC0415

    console, now = Console(highlight=False), read(address)
    if once:
        console.print(screen(address, now, now, 0))
        return
    stopped = threading.Event()
    signal.signal(signal.SIGINT, lambda number, frame: stopped.set())  # an exception can be lost in a destructor
    with Live(screen(address, now, now, 0), console=console, screen=True, auto_refresh=False) as live:
        while not stopped.wait(every):
            before, now = now, read(address)
            live.update(screen(address, before, now, every), refresh=True)
