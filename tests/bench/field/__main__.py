"""Measure the field, and write table and chart (see run)."""

import argparse
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.bench.field import chart
from tests.bench.field.measures import MEASURES, Measure
from tests.bench.field.servers import ENTRANTS, Entrant
from tests.bench.listener import SOURCE
from tests.bench.place import Place, place
from tests.ucspi import Server

Figures = Mapping[tuple[str, str], list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tests/bench/field/run", description="Measure qmailfork in the field of its peers."
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each measure (default 5)")
    parser.add_argument("--into", type=Path, help="a directory for field.md, field.svg and field.png")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only servers whose name contains one of these")
    given = parser.parse_args()
    if SOURCE is None:
        parser.error("no smtp-source (postfix) here: it is the client")
    chosen = [one for one in ENTRANTS if not given.names or any(name in one.name for name in given.names)]
    running = [one for one in chosen if not one.missing]
    with place(given.runs) as here:
        figures, faults = measured(here, running)
    there = [one.name for one in running if any(name == one.name for name, _ in figures)]
    text = page(there, figures, [f"{one.name}: {one.missing}" for one in chosen if one.missing] + faults, given.runs)
    print(text)
    if given.into:
        given.into.mkdir(parents=True, exist_ok=True)
        (given.into / "field.md").write_text(text)
        chart.draw(given.into, machine(), there, [one for one in MEASURES if one.is_rate], figures)


def measured(here: Place, entrants: list[Entrant]) -> tuple[Figures, list[str]]:
    """The figures by server and measure, taken in turns; and a line for each server that failed."""
    figures: dict[tuple[str, str], list[float]] = defaultdict(list)
    faults = []
    with ExitStack() as stack:
        servers: list[tuple[str, Server]] = []
        for one in entrants:
            try:
                servers.append((one.name, stack.enter_context(one.open(here))))
            except (AssertionError, OSError) as fault:
                faults.append(f"{one.name}: does not start: {fault}")
        for measure in MEASURES:
            for _ in range(here.runs):
                for name, server in servers:
                    take(figures, faults, measure, name, server)
    return figures, faults


def take(
    figures: dict[tuple[str, str], list[float]], faults: list[str], measure: Measure, name: str, server: Server
) -> None:
    print(f"{measure.name}: {name}", file=sys.stderr)
    try:
        figures[name, measure.name].append(measure.take(server))
    except (AssertionError, OSError, subprocess.SubprocessError) as fault:
        line = f"{name}, {measure.name}: {type(fault).__name__}"
        if line not in faults:
            faults.append(line)


def page(names: list[str], figures: Figures, left_out: list[str], runs: int) -> str:
    """The table in Markdown. Ratios are to its first server."""
    lines = [("", *(measure.name for measure in MEASURES)), ("---",) * (len(MEASURES) + 1)]
    for name in names:
        lines.append((name, *(cell(figures, measure, name, names[0]) for measure in MEASURES)))
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    note = f"Best of {runs} runs in turns, how many times {names[0]}, and the spread of the runs. {machine()}."
    return "\n".join([table, "", note, *(f"Left out: {line}." for line in left_out), ""])


def cell(figures: Figures, measure: Measure, name: str, peer: str) -> str:
    own = figures.get((name, measure.name))
    return measure.told(own, None if name == peer else figures.get((peer, measure.name))) if own else "-"


def machine() -> str:
    """This machine, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return (
        f"{os.cpu_count()} x {cpu}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
