"""`qmailfork report`: what a log says, in numbers."""

import dataclasses
import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from qmailfork.cli import drawn, faults, surroundings, window
from qmailfork.logs import files
from qmailfork.logs.ahead import WORTH, Ahead
from qmailfork.logs.reader import Counts, Reader
from qmailfork.report import summary
from qmailfork.report.summary import Summary
from qmailfork.report.tally import Tally

INCOMPLETE, WRONG = 1, 2


@click.command()
@click.argument("logs", nargs=-1, type=click.Path(), metavar="[LOG]...")
@window.options
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Names in each table.")
@click.option("--width", type=click.IntRange(20, 1000), help="Columns, instead of the terminal's.")
@click.option("--html", "page", type=click.Path(dir_okay=False), help="Write a page instead of tables.")
@click.option("--png", "picture", type=click.Path(dir_okay=False), help="Write a picture instead of tables.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@surroundings.options
def report(logs: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Count what LOG says: multilog's directories, files, - for standard input.

    Exit status: 0; 1, a log could not be read, or not whole; 2, a wrong option; 111, nothing could be read.
    """
    try:
        wanted = (("--html", given["page"]), ("--png", given["picture"]))
        drawings = [drawn.Drawing(option, path) for option, path in wanted if path]
        tally, counts = _counted(logs, given)
        told = summary.of(tally, counts, given["top"])
        if told.faults and not told.lines["lines"]:
            faults.end("report", told.faults, faults.UNREADABLE)
        for drawing in drawings:
            drawing.write(told)
    except drawn.Impossible as why:
        faults.end("report", [str(why)], WRONG)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(told)))
    elif not drawings:
        _show(told, given["width"])
    if told.faults:
        faults.end("report", told.faults, INCOMPLETE)


def _counted(logs: tuple[str, ...], given: dict[str, Any]) -> tuple[Tally, Counts]:
    logs = window.logs(logs)
    tally = Tally(surroundings.environment(given["env_dir"], given["pairs"]))
    try:
        reader = Reader(logs, given["since"], given["until"])
    except files.Unreadable as fault:
        faults.end("report", [str(fault)], faults.UNREADABLE)
    beside = reader.size > WORTH and (os.cpu_count() or 1) > 1
    gc.disable()  # events come by the million, and none of them is a cycle
    add = tally.add
    try:
        with _progress(Ahead(reader) if beside else reader) as told:
            for when, number, event in told:
                add(when, number, event)
    except files.Unreadable as fault:
        reader.counts.faults.append(str(fault))
    return tally, reader.counts


@contextmanager
def _progress(reader: Reader | Ahead) -> Iterator[Reader | Ahead]:
    """The `reader` behind a bar on standard error, where that is a terminal and the size is known."""
    if not reader.size or not sys.stderr.isatty():
        yield reader
        return
    with click.progressbar(length=reader.size, label="reading", file=sys.stderr, update_min_steps=1 << 20) as bar:
        reader.progress = bar.update
        yield reader


def _show(told: Summary, width: int | None) -> None:
    from qmailfork.report import terminal  # noqa: PLC0415  # --json, --html and --png do without its library

    try:
        terminal.show(told, sys.stdout, width)
    except BrokenPipeError:  # a pager that was left
        sys.stderr.close()
        sys.exit(0)
