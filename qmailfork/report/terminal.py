"""The report in a terminal: tables that fit its width, and sparklines."""

from typing import IO

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from qmailfork.report import say
from qmailfork.report.summary import Line, Summary, Table
from qmailfork.report.timeline import each, moment, timeline

BARS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-=+*%#"  # where the terminal has no others
COLOURS = (("accepted", "green"), ("refused", "red"), ("deferred", "yellow"))


def show(summary: Summary, file: IO[str], width: int | None) -> None:
    """Write the report to `file`, `width` columns wide (None: the terminal's)."""
    console = Console(file=file, width=width, highlight=False, emoji=False)
    console.print(Text(f"{moment(summary.first)} to {moment(summary.last)}", "bold"))
    console.print(Text(say.lines(summary)))
    for fault in summary.faults:
        console.print(Text(fault, "red"))
    if summary.total:
        _totals(console, summary)
        _checkers(console, summary)
        for title, table in say.tables(summary):
            _table(console, title, table)
        _times(console, summary)
        _sentences(console, "On trial", say.shadows(summary))
        _sentences(console, "Deferred, and come back", say.comebacks(summary))


def _grid(console: Console, title: str, *columns: str) -> Grid:
    console.print()
    grid = Grid(title=Text(title, "bold"), title_justify="left", box=None, padding=(0, 1, 0, 0), header_style="dim")
    grid.add_column(columns[0], overflow="ellipsis", no_wrap=True, ratio=1)
    for column in columns[1:]:
        grid.add_column(column, justify="right", no_wrap=True)
    return grid


def _totals(console: Console, summary: Summary) -> None:
    steps = timeline(summary.hours, max(console.width - 34, 10))
    grid = _grid(console, "Recipients", "", "number", "share", f"by {each(steps.hours)}")
    for name, colour in COLOURS:
        number = getattr(summary, name)
        line = _sparkline([getattr(bar, name) for bar in steps.bars], console.encoding)
        grid.add_row(Text(name, colour), f"{number:,}", say.share(number, summary.total), Text(line, colour))
    console.print(grid)


def _sparkline(values: list[int], encoding: str) -> str:
    signs = BARS if encoding.startswith("utf") else PLAIN
    most = max(values, default=0)
    return "".join(" " if not value else signs[(value * 8 - 1) // most if most else 0] for value in values)


def _checkers(console: Console, summary: Summary) -> None:
    grid = _grid(console, "Who refused and deferred", "checker", "refused", "deferred", "failed")
    for one in say.deciders(summary):
        grid.add_row(Text(one.name), f"{one.refused:,}", f"{one.deferred:,}", f"{one.failed:,}")
    if grid.row_count:
        console.print(grid)


def _table(console: Console, title: str, table: Table) -> None:
    grid = _grid(console, title, "", *(name for name, _ in COLOURS))
    for line in [*table.lines, *([table.rest] if table.rest.total else [])]:
        grid.add_row(Text(line.name), *(_number(line, name) for name, _ in COLOURS))
    console.print(grid)
    if not table.exact:
        console.print(Text(say.INEXACT, "dim"))


def _number(line: Line, name: str) -> str:
    return f"{getattr(line, name):,}"


def _times(console: Console, summary: Summary) -> None:
    grid = _grid(console, "How long checkers take", "checker", "asked", "half in", "95 %", "99 %", "worst")
    for one in say.slowest(summary):
        times = (say.milliseconds(value) for value in (one.p50, one.p95, one.p99, one.slowest))
        grid.add_row(Text(one.name), f"{one.asked:,}", *times)
    if grid.row_count:
        console.print(grid)


def _sentences(console: Console, title: str, sentences: list[tuple[str, str]]) -> None:
    for at, (name, sentence) in enumerate(sentences):
        if not at:
            console.print()
            console.print(Text(title, "bold"))
        console.print(Text.assemble((name, "bold"), ": ", sentence))
