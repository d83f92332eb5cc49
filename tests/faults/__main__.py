"""The long form of the tests beside this file; tests/faults/run calls it."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.leaks import Held, watch
from tests.faults.restarts import restarts
from tests.faults.storm import storm
from tests.support import QmailHome, build_fakes

SENDERS = 6
GROWTH = 0.25  # KiB for a session that a worker may grow by: less than anything that one session would leave


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="tests/faults/run", description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000, help="sessions through one worker (0: none)")
    parser.add_argument("--messages", type=int, default=2000, help="messages under kills and restarts (0: none)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        fakes = build_fakes(Path(directory) / "fakes")
        if asked.messages:
            under_kills(Path(directory), fakes, asked)
            under_restarts(Path(directory), fakes, asked)
        if asked.sessions:
            through_one_worker(QmailHome(Path(directory) / "leaks", fakes), asked)


def under_kills(directory: Path, fakes: Path, asked: argparse.Namespace) -> None:
    home, each = QmailHome(directory / "kills", fakes), -(-asked.messages // SENDERS)
    came_of_it = storm(home, directory / "killed", asked.seed, SENDERS, each, 0.02, "--loop", asked.loop)
    killed = ", ".join(f"{what} {count}" for what, count in came_of_it.killed.most_common())
    print(f"seed {asked.seed}, {asked.loop}; killed: {killed}")
    print(f"{came_of_it.account}: none lost, none twice, none torn", flush=True)
    if any("Traceback" in line for line in came_of_it.log):
        sys.exit("a traceback is in the log")


def under_restarts(directory: Path, fakes: Path, asked: argparse.Namespace) -> None:
    home, each = QmailHome(directory / "restarts", fakes), -(-asked.messages // SENDERS)
    came_of_it = restarts(home, directory / "restarted", asked.seed, SENDERS, each, "--loop", asked.loop)
    print(f"svc -k {len(came_of_it.seconds)} times: {came_of_it.account}: none lost, none twice, no session cut off")
    most = f"{max(came_of_it.seconds):.2f} s"
    print(f"the next instance greeted after {most} at most, supervise's second of rest included", flush=True)


def through_one_worker(home: QmailHome, asked: argparse.Namespace) -> None:
    print("| sessions | descriptors | KiB in memory |\n|---|---|---|")
    held = watch(home, asked.loop, asked.sessions, 20, row)
    early, late = held[1], held[-1]
    if late.descriptors > early.descriptors:
        sys.exit("descriptors are left open")
    if late.resident - early.resident > GROWTH * (late.sessions - early.sessions):
        sys.exit("memory grows")


def row(held: Held) -> None:
    print(f"| {held.sessions} | {held.descriptors} | {held.resident} |", flush=True)


if __name__ == "__main__":
    main()
