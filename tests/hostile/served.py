"""What an honest client gets while an attack is under way."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults.processes import children, resident
from tests.support import ROOT, QmailHome, qmailfork, running
from tests.ucspi import Server, listening
from tests.warm import NO_NAMES, send_message


@dataclass(frozen=True)
class Served:
    """How many milliseconds each message took, from connecting to its acknowledgement, and KiB of all workers."""

    milliseconds: list[float]
    memory: int


@contextmanager
def listener(home: QmailHome, workers: int) -> Iterator[Server]:
    """A listener with room for all that may come."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    options = ["-1", *NO_NAMES, "-c", str(most - 500 * workers), "-b", "1000", "--workers", str(workers)]
    argv = ["prlimit", f"--nofile={most}", "--", *qmailfork("listen", *options, "127.0.0.1", "0")]
    env = {name: value for name, value in home.environment().items() if not name.startswith("TCP")}
    with listening(argv, env, home.path / "listener.log", "127.0.0.1") as server:
        yield server


@contextmanager
def attack(name: str, server: Server, scale: float) -> Iterator[None]:
    """The attack of this name, from a process of its own; none where the name is empty."""
    if not name:
        yield
        return
    argv = [sys.executable, "-m", "tests.hostile.attacks", name, server.host, str(server.port), str(scale)]
    with running(argv, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield


def served(name: str, home: QmailHome, workers: int, messages: int, scale: float, pause: float = 0.0) -> Served:
    """Send so many messages under the attack. AssertionError where one is not acknowledged."""
    with listener(home, workers) as server, attack(name, server, scale):
        took, memory = [], 0
        for _ in range(messages):
            time.sleep(pause)
            began = time.monotonic()
            with server.connect() as client:
                assert send_message(client).startswith(b"250 ")
            took.append((time.monotonic() - began) * 1000)
            memory = max(memory, sum(resident(pid) for pid in children(server.process.pid)))
        assert not any("Traceback" in line for line in server.log())
        return Served(took, memory)
