"""What `qmailfork top` shows: two looks at a listener's numbers as tables."""

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from qmailfork.cli import words
from qmailfork.cli.counted import INFINITE, Counted, Program


def screen(address: str, before: Counted, now: Counted, seconds: float) -> Group:
    """All of it; rates from two looks so many `seconds` apart (0: no rates)."""
    sessions = f"sessions {now.open} of {now.limit}, {now.sessions} since the start"
    if seconds:
        sessions += f", {_rate(before.sessions, now.sessions, seconds)}/s"
    tables = [
        _numbers("recipients", before.recipients, now.recipients, seconds),
        _numbers("replies", before.replies, now.replies, seconds),
        _programs(before, now, seconds),
    ]
    return Group(f"[bold]{escape(words.shown(address.encode()))}[/bold]", sessions, *tables)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="bold")
    table.add_column(first, ratio=1, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", min_width=7, no_wrap=True)
    return table


def _numbers(name: str, before: dict[str, int], now: dict[str, int], seconds: float) -> Table:
    table = _table(name, "total", "per s")
    for label, count in now.items():
        table.add_row(escape(label), str(count), _rate(before.get(label, 0), count, seconds))
    return table


def _programs(before: Counted, now: Counted, seconds: float) -> Table:
    table = _table("checkers, queue", "runs", "per s", "half ≤", "99 % ≤")
    named = [*now.checkers.items(), ("the queue program", now.queue)]
    earlier = {**before.checkers, "the queue program": before.queue}
    for name, program in named:
        ends = ", ".join(f"{end}: {count}" for end, count in program.ends.items())
        rate = _rate(earlier.get(name, Program()).runs, program.runs, seconds)
        cell = escape(words.shown(name.encode())) + (f"\n  [dim]{ends}[/dim]" if ends else "")
        table.add_row(cell, str(program.runs), rate, _time(program, 0.5), _time(program, 0.99))
    return table


def _rate(before: int, now: int, seconds: float) -> str:
    return f"{(now - before) / seconds:.1f}" if seconds else ""


def _time(program: Program, share: float) -> str:
    if not program.runs:
        return ""
    bound = program.within(share)
    return "> 60 s" if bound == INFINITE else words.milliseconds(bound * 1000)
