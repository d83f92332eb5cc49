"""Measuring two things beside each other: in turns, so that what else the machine does hits both."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Times:
    """Seconds of each run."""

    seconds: list[float]

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return median(self.seconds)


@dataclass(frozen=True)
class Row:
    """A line of the table; `met` None where nothing was to be met or nothing could be measured."""

    what: str
    ours: str
    against: str
    peer: str
    result: str
    budget: str
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        met = {True: "yes", False: "**no**", None: "-"}[self.met]
        return self.what, self.ours, self.against, self.peer, self.result, self.budget, met


HEAD = ("what", "ours", "against", "theirs", "result", "budget", "met")


def in_turns(runs: int, *sides: Callable[[], float]) -> list[Times]:
    """`runs` of each side, one after the other; each side returns its seconds."""
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(runs):
        for side, taken in zip(sides, seconds, strict=True):
            taken.append(side())
    return [Times(taken) for taken in seconds]


def timed(argv: Sequence[str], env: Mapping[str, str], stdin: Path, times: int = 1) -> float:
    """Seconds that the program takes from its start to its end, on the average of `times`; its output is dropped.

    Raises RuntimeError where it does not exit 0.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, str(stdin), os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    began = time.perf_counter()
    for _ in range(times):
        _, status = os.waitpid(os.posix_spawnp(argv[0], argv, env, file_actions=actions), 0)
        if status:
            raise RuntimeError(f"{argv}: wait status {status}")
    return (time.perf_counter() - began) / times


class Dialogue:
    """A program that is spoken to on its descriptors 0 and 1, in lines; ends with the block."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._socket, far = socket.socketpair()
        with far:
            self._process = subprocess.Popen(argv, env=dict(env), stdin=far, stdout=far, stderr=subprocess.DEVNULL)

    def __enter__(self) -> "Dialogue":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait()

    def seconds(self, said: bytes, lines: int) -> float:
        """Seconds from saying this to the last of so many lines that answer it."""
        began = time.perf_counter()
        self._socket.sendall(said)
        while lines > 0:
            answer = self._socket.recv(65536)
            if not answer:
                raise RuntimeError(f"{self._process.args!r} ended")
            lines -= answer.count(b"\n")
        return time.perf_counter() - began


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def ratio(ours: Times, theirs: Times) -> tuple[str, float]:
    """How many times our rate is theirs, by the best of each and by the medians; and the former as a number."""
    best = theirs.best / ours.best
    return f"{best:.2f} x (medians {theirs.median / ours.median:.2f} x)", best
