"""Measure the field, and write table and chart (see run)."""

import argparse
import os
import platform
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.field import chart
from tests.bench.field.measures import MEASURES, Measure
from tests.bench.field.servers import ENTRANTS, Entrant
from tests.bench.listener import SOURCE
from tests.bench.place import Place, place
from tests.ucspi import Server

EARLY = [one for one in MEASURES if not one.is_rate]  # what the rates leave behind would hide them


@dataclass
class Findings:
    """What was measured so far: `figures` by server and measure, and the `faults`, why some have none."""

    names: list[str] = field(default_factory=list)
    figures: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    breaks_off: bool = False


def main() -> None:
    given, chosen = asked()
    findings = Findings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with place(given.runs) as here:
            measure(here, [one for one in chosen if not one.missing], findings)
    except KeyboardInterrupt:
        findings.breaks_off = True
    publish(given, chosen, findings)


def asked() -> tuple[argparse.Namespace, list[Entrant]]:
    """What the command line wants, and the servers that it names."""
    parser = argparse.ArgumentParser(
        prog="tests/bench/field/run", description="Measure qmailfork in the field of its peers."
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each measure (default 3)")
    parser.add_argument("--into", type=Path, help="a directory for field.md, field.svg and field.png")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only servers whose name contains one of these")
    given = parser.parse_args()
    if SOURCE is None:
        parser.error("no smtp-source (postfix) here: it is the client")
    return given, [one for one in ENTRANTS if not given.names or any(name in one.name for name in given.names)]


def measure(here: Place, entrants: list[Entrant], findings: Findings) -> None:
    """Take the figures, every server in its turn: first what is not a rate, then round after round of the rates."""
    with ExitStack() as stack:
        servers: list[tuple[str, Server]] = []
        for one in entrants:
            try:
                servers.append((one.name, stack.enter_context(one.open(here))))
                findings.names.append(one.name)
            except (AssertionError, OSError) as fault:
                findings.faults[one.name, ""] = f"does not start: {fault}"
        turns = [(each, run) for each in EARLY for run in range(here.runs)]
        turns += [(each, run) for run in range(here.runs) for each in MEASURES if each.is_rate]
        for each, run in turns:
            for name, server in servers:
                print(f"{each.name}, run {run + 1}: {name}", file=sys.stderr)
                take(findings, each, name, server)


def take(findings: Findings, measure: Measure, name: str, server: Server) -> None:
    """One figure, or why there is none; then there are no more of them."""
    if (name, measure.name) in findings.faults:
        return
    try:
        findings.figures[name, measure.name].append(measure.take(server))
    except (AssertionError, OSError, subprocess.SubprocessError) as fault:
        findings.figures.pop((name, measure.name), None)
        findings.faults[name, measure.name] = why(fault)


def why(fault: BaseException) -> str:
    """The reason, in a few words."""
    if isinstance(fault, subprocess.TimeoutExpired):
        return f"more than {fault.timeout:g} s"
    if isinstance(fault, subprocess.CalledProcessError):
        return (fault.stderr.decode(errors="replace").strip().splitlines() or [f"exit {fault.returncode}"])[-1]
    return str(fault) or type(fault).__name__


def publish(given: argparse.Namespace, chosen: list[Entrant], findings: Findings) -> None:
    """Print the table, and write it with its chart where that is wanted."""
    left_out = [f"{one.name}: {one.missing}" for one in chosen if one.missing]
    left_out += [", ".join(filter(None, key)) + f": {reason}" for key, reason in findings.faults.items()]
    there = [name for name in findings.names if any(name == one for one, _ in findings.figures)]
    text = page(there, findings.figures, left_out, given.runs) + "Broken off before its end.\n" * findings.breaks_off
    print(text)
    if given.into:
        given.into.mkdir(parents=True, exist_ok=True)
        (given.into / "field.md").write_text(text)
        if there:
            chart.draw(given.into, machine(), there, [one for one in MEASURES if one.is_rate], findings.figures)


def page(names: list[str], figures: Mapping[tuple[str, str], list[float]], left_out: list[str], runs: int) -> str:
    """The table in Markdown. Ratios are to its first server."""
    lines = [("", *(measure.name for measure in MEASURES)), ("---",) * (len(MEASURES) + 1)]
    for name in names:
        lines.append((name, *(cell(figures, measure, name, names[0]) for measure in MEASURES)))
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    note = f"Best of {runs} runs in turns, how many times {names[0]}, and the spread of the runs. {machine()}."
    return "\n".join([table, "", note, *(f"Left out: {line}." for line in left_out), ""])


def cell(figures: Mapping[tuple[str, str], list[float]], measure: Measure, name: str, peer: str) -> str:
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
