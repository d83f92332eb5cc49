"""Prints what an honest client gets under each attack; tests/hostile/run calls it."""

import argparse
import os
import platform
import tempfile
from pathlib import Path
from statistics import median

from tests.hostile.attacks import ATTACKS
from tests.hostile.served import served
from tests.support import QmailHome, build_fakes

WORKERS = 2


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="tests/hostile/run", description=__doc__)
    parser.add_argument("--messages", type=int, default=100, help="honest messages under each attack")
    parser.add_argument("--scale", type=float, default=1.0, help="how many of the connections of each attack")
    parser.add_argument("words", nargs="*", help="only attacks whose name contains one of these")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, which the attackers share, Python {platform.python_version()}, {WORKERS} workers\n")
    print("| attack | messages | median ms | 95 % ms | worst ms | workers' memory MiB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        fakes = build_fakes(Path(directory) / "fakes")
        for number, name in enumerate(("", *ATTACKS)):
            if not asked.words or any(word in name for word in asked.words):
                home = QmailHome(Path(directory) / f"home{number}", fakes)
                row(name, *_figures(name, home, asked))


def _figures(name: str, home: QmailHome, asked: argparse.Namespace) -> tuple[list[float], int]:
    result = served(name, home, WORKERS, asked.messages, asked.scale, pause=0.05)
    return sorted(result.milliseconds), result.memory


def row(name: str, took: list[float], memory: int) -> None:
    late = took[len(took) * 95 // 100]
    cells = (name or "none", len(took), f"{median(took):.1f}", f"{late:.1f}", f"{took[-1]:.1f}", f"{memory / 1024:.0f}")
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
