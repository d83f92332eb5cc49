"""What is measured of each server of the field, and how it is told."""

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.listener import LARGE, send
from tests.smtpclient import Client
from tests.ucspi import Server

IDLE = 90  # sessions that say nothing
LASTS = 1.0  # seconds that a figure should take; slow servers get fewer messages, or smaller ones
MOST = 20.0  # seconds that it may take; a server that needs more has none
SAMPLE = 1_000_000  # octets of the message that tells how large the measured one may be


@dataclass(frozen=True)
class Measure:
    """`take` measures a server once; `unit` is the figure's, `is_rate` where more is better."""

    name: str
    unit: str
    is_rate: bool
    take: Callable[[Server], float]

    def best(self, figures: list[float]) -> float:
        return max(figures) if self.is_rate else min(figures)

    def told(self, figures: list[float], peer: list[float] | None) -> str:
        """The best figure, for a rate how many times the best of `peer`, and the spread about the median."""
        best = self.best(figures)
        text = f"{best:.3g} {self.unit}" if best < 100 else f"{best:.0f} {self.unit}"
        if peer and self.is_rate:
            text += f", {best / self.best(peer):.2f} x"
        if len(figures) > 1 and median(figures):
            text += f" (±{(max(figures) - min(figures)) / 2 / median(figures):.0%})"
        return text


def sessions(at_once: int) -> Callable[[Server], float]:
    """Sessions in a second, each with a message, so many at once."""

    def take(server: Server) -> float:
        sample = send(server, at_once, at_once, seconds=MOST)
        messages = min(3000, int(LASTS / sample))
        return 1 / (send(server, at_once, messages, seconds=MOST) if messages > at_once else sample)

    return take


def large(server: Server) -> float:
    """Megabytes in a second."""
    sample = send(server, 1, 1, SAMPLE, MOST)
    octets = min(LARGE, int(SAMPLE * LASTS / sample))
    rate = octets / send(server, 1, 1, octets, MOST) if octets > SAMPLE else SAMPLE / sample
    return rate / 1e6


def greeting(server: Server) -> float:
    """Milliseconds from the connection to the greeting, the best of some."""
    return min(_greeting(server) for _ in range(10))


def _greeting(server: Server) -> float:
    began = time.perf_counter()
    with server.connect() as client:
        client.reply()
        return (time.perf_counter() - began) * 1000


def idle(server: Server) -> float:
    """KiB that each session takes that has said EHLO and no more."""
    with ExitStack() as stack:
        open_sessions(stack, server, 3)
        before = proportional_kib(server.process.pid)
        open_sessions(stack, server, IDLE)
        return max(0.0, proportional_kib(server.process.pid) - before) / IDLE


def open_sessions(stack: ExitStack, server: Server, number: int) -> None:
    until = time.monotonic() + MOST
    for _ in range(number):
        assert time.monotonic() < until, f"fewer than {number} sessions in {MOST:g} s"
        client: Client = stack.enter_context(server.connect())
        client.reply()
        client.command("EHLO foo")


def proportional_kib(pid: int) -> float:
    """The memory of a process and all below it, what is shared counted once (PSS)."""
    try:
        own = Path(f"/proc/{pid}/smaps_rollup").read_text().partition("\nPss:")[2].split()[0]
    except (OSError, IndexError):  # ended
        return 0.0
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return int(own) + sum(proportional_kib(int(child)) for child in listed.stdout.split())


MEASURES = (
    Measure("memory, idle session", "KiB", False, idle),  # first: what later ones leave behind would hide it
    Measure("greeting after", "ms", False, greeting),
    Measure("1 at a time", "/s", True, sessions(1)),
    Measure("10 at once", "/s", True, sessions(10)),
    Measure("100 at once", "/s", True, sessions(100)),
    Measure("a large message", "MB/s", True, large),
)
