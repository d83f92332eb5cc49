"""What a check of softfail costs: by the size of the store, cold and resident, and with 50 processes at once.

    .venv/bin/python -m tests.bench.softfail [--most TRIPLETS] [ADDRESS ...]

Without an address: a SQLite file in a temporary directory. An address must name a store that may be emptied.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from xfgreylist import stores
from xfgreylist.check import question
from xfgreylist.policy import Ask, Limits, Record
from xfgreylist.settings import Settings

from tests.checkerforms import BARE, CHECKERS, ask, resident
from tests.support import ROOT

NOW = 1_900_000_000  # later than any clock: no server takes out what is stored
PATIENCE = 600.0  # seconds
ROUNDS = 2000  # checks of each kind that are timed
BATCH = 5000  # records written at once while filling
KINDS = ("unknown", "early", "known", "listed")


def envelope(number: int, kind: str = "") -> dict[str, str]:
    """Return the envelope of triplet number; kind makes it another one."""
    spread = number * 2_654_435_761 % 2**32  # neighbours in number are none in the key
    address = f"{10 + spread % 200}.{spread >> 8 & 255}.{spread >> 16 & 255}.1"
    return {"TCPREMOTEIP": address, "REMOTEMF": f"s{kind}{number}@x{number % 977}.org", "REMOTERCPT": "user@y.org"}


def asked(number: int, kind: str = "") -> Ask:
    """Return the question about triplet number, as a checker puts it."""
    env = envelope(number, kind)
    made = question(env, Settings({}), NOW)
    made.limits = Limits(insist=0, white_client=0, white_domain=0)
    return made


def filling(start: int, end: int) -> Iterator[Record]:
    """Yield the records of triplets start to end; every other one has passed."""
    for number in range(start, end):
        key = asked(number).names()[3]
        yield Record(key, NOW - 60, NOW - 60, 1, 0, number % 2, NOW + 10**6, "h")


def fill(store: stores.Store, start: int, end: int) -> None:
    """Write the records of triplets start to end."""
    for first in range(start, end, BATCH):
        store.put(list(filling(first, min(first + BATCH, end))))


def timed(work: Callable[[int], object], numbers: list[int]) -> float:
    """Return the median time of work on one of numbers, in microseconds."""
    times = []
    for number in numbers:
        start = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def costs(store: stores.Store, size: int) -> list[float]:
    """Return the cost of a check that finds nothing, a waiting triplet, a known one, and a list entry."""
    chance = random.Random(size)
    some = [chance.randrange(size // 2) * 2 for _ in range(ROUNDS)]
    fresh = f"n{size}x"
    unknown = timed(lambda number: store.check(asked(number, fresh)), list(range(ROUNDS)))
    early = timed(lambda number: store.check(asked(number)), some)
    known = timed(lambda number: store.check(asked(number + 1)), some)
    store.enter([stores.Entry("recipient:user@y.org", "allow", NOW)])
    listed = timed(lambda number: store.check(asked(number)), some)
    store.strike(["recipient:user@y.org"])
    return [unknown, early, known, listed]


def by_size(address: str, most: int) -> None:
    """Print a table of costs while the store grows."""
    store = stores.connect(address, PATIENCE)
    print(f"\n{address.partition(':')[0]}: microseconds for a check (median of {ROUNDS}), the question made included")
    print(f"{'triplets':>10}" + "".join(f"{kind:>10}" for kind in KINDS))
    size, first = 0, []
    for goal in [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= most]:
        fill(store, size, goal)
        size = goal
        row = costs(store, size)
        first = first or row
        print(f"{size:>10,}" + "".join(f"{cost:>10.0f}" for cost in row), flush=True)
    print(f"{'growth':>10}" + "".join(f"{cost / start:>9.2f}x" for cost, start in zip(row, first, strict=True)))
    store.close()


def cold(address: str) -> None:
    """Print what a forked checker costs beside an empty interpreter, and a resident one beside both."""
    env = {**BARE, **envelope(1), "SOFTFAIL_STORE": address}
    program = [sys.executable, str(CHECKERS / "softfail")]
    bare = [sys.executable, "-I", "-c", "pass"]

    def run(command: list[str]) -> float:
        return timed(lambda _: subprocess.run(command, env=env, capture_output=True, check=False), list(range(40)))

    empty, forked = run(bare) / 1000, run(program) / 1000
    request = {"client_address": "192.0.2.1", "sender": "a@x.org", "recipient": "b@y.org"}
    with resident("softfail", env) as server, server.connect() as connection:
        warm = timed(lambda _: ask(connection, **request), list(range(300))) / 1000  # its log has a pipe
    print(f"\nempty interpreter {empty:.1f} ms, forked checker {forked:.1f} ms ({forked - empty:+.1f} ms)", end="")
    print(f", resident {warm:.2f} ms ({forked / warm:.0f} times faster)")


CROWD = """
import sys, time
from xfgreylist import stores
from tests.bench.softfail import asked
pool, worst, start = stores.Pool(), 0.0, int(sys.argv[2]) * 400
sys.stdin.read()
for number in range(start, start + 400):
    before = time.perf_counter()
    pool.check(sys.argv[1], asked(number % 10_000), 0.9)
    worst = max(worst, time.perf_counter() - before)
print(worst)
"""


def crowd(address: str) -> None:
    """Print how 50 processes fare that check 10,000 triplets twice over, as fast as they can."""
    command = [sys.executable, "-c", CROWD, address]
    path = str(ROOT)
    workers = [
        subprocess.Popen([*command, str(n)], env={**BARE, "PYTHONPATH": path}, stdin=-1, stdout=-1) for n in range(50)
    ]
    start = time.perf_counter()
    for worker in workers:
        worker.stdin.close()
    worst = [float(worker.stdout.read() or "nan") for worker in workers]
    seconds = time.perf_counter() - start
    failed = sum(worker.wait() != 0 for worker in workers)
    print(f"\n50 processes, 20,000 checks: {20_000 / seconds:.0f} checks/s, {failed} processes failed, ", end="")
    print(f"slowest check {max(worst):.2f} s (median of the processes' slowest {statistics.median(worst):.2f} s)")
    store = stores.connect(address, PATIENCE)
    tries = sum(record.tries for record in store.records() if record.key.startswith("t "))
    print(f"tries in the store: {tries:,}")
    store.close()


def main() -> None:
    """Measure each store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=1_000_000, metavar="TRIPLETS")
    parser.add_argument("addresses", nargs="*", metavar="ADDRESS")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for number, address in enumerate(wanted.addresses or [f"sqlite:{place}/softfail.db"]):
            other = f"sqlite:{place}/crowd{number}.db" if address.startswith("sqlite:") else address
            by_size(address, wanted.most)
            cold(address)
            emptied = stores.connect(other, PATIENCE)
            emptied.remove([record.key for record in emptied.records()])
            emptied.close()
            crowd(other)


if __name__ == "__main__":
    main()
