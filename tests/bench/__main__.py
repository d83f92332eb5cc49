"""Measure, and print the table (see run)."""

import argparse

from tests.bench import listener, restart, schemes, stdio
from tests.bench.measure import table
from tests.bench.place import place

# a module of rows for each driver: a name, and what measures it at a Place
ROWS = {**{f"stdio-{name}": row for name, row in stdio.ROWS.items()}, **listener.ROWS, **restart.ROWS, **schemes.ROWS}


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measure qmailfork beside its peers.")
    parser.add_argument("--runs", type=int, default=9, help="runs of each side (default 9)")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only rows whose name contains one of these")
    given = parser.parse_args()
    chosen = [name for name in ROWS if not given.words or any(word in name for word in given.words)]
    if not chosen:
        parser.error(f"no such row; there are {', '.join(ROWS)}")
    with place(given.runs) as here:
        print(table([ROWS[name](here) for name in chosen]))


if __name__ == "__main__":
    main()
