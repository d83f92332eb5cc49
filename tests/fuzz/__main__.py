"""Tries the core with many inputs; tests/fuzz/run calls it."""

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.check import Fuzz

PART = 1000  # inputs that a process takes at once


def try_part(first: int) -> str:
    """Try some inputs, with control files of their own: what went wrong with the first that fails, or nothing."""
    with tempfile.TemporaryDirectory() as home:
        fuzz = Fuzz(Path(home))
        try:
            for number in range(first, first + PART):
                fuzz.try_one(number)
        except Exception:
            return traceback.format_exc()
        return ""


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="tests/fuzz/run", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=int(time.time()) * 1000, help="number of the first input")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    asked = parser.parse_args()
    parts = range(asked.first, asked.first + asked.inputs, PART)
    with multiprocessing.Pool(asked.jobs) as pool:
        for done, fault in enumerate(pool.imap_unordered(try_part, parts), start=1):
            if fault:
                sys.exit(fault)
            if done % 10 == 0:
                print(f"\r{done * PART} inputs", end="", file=sys.stderr, flush=True)
    print(f"\r{asked.inputs} inputs from {asked.first} on: no fault")


if __name__ == "__main__":
    main()
