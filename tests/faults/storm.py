"""A listener under load while what belongs to it is killed at random moments, and the account afterwards."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.processes import of_home
from tests.load import Account, Load, settle
from tests.supervised import free_port, supervised
from tests.support import QmailHome, qmailfork, wait_for

QUEUE, CHECKER, POLICY, PRELOADED, WORKER, PARENT = "queue", "checker", "policy server", "preloaded", "worker", "parent"
LIST = "fakes/exit 0,policy:unix:{home}/policy,preload:fakes/sample-checker"
KILLS = 6  # at least, in one storm
WEIGHTS = {QUEUE: 40, CHECKER: 30, POLICY: 3, PRELOADED: 3, WORKER: 4, PARENT: 1}


@dataclass(frozen=True)
class Storm:
    """What came of it: the account of the messages, whom was killed how often, and the lines in the log."""

    account: Account
    killed: Counter[str]
    log: list[str]


class Every:
    """Calls `act` again and again in a thread of its own, after pauses that `pause` gives, until the block ends."""

    def __init__(self, act: Callable[[], None], pause: Callable[[], float]) -> None:
        self._act = act
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Every":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._pause()):
            self._act()


class Killer:
    """Kills one of the processes of the service at `home`; who, and at what pauses, comes from `seed`."""

    def __init__(self, home: Path, seed: int, seconds: float) -> None:
        self.killed: Counter[str] = Counter()
        self._home = home
        self._chance = random.Random(seed)
        self._seconds = seconds

    def pause(self) -> float:
        return self._chance.expovariate(1 / self._seconds)

    def kill(self) -> None:
        (kind,) = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        victims = [pid for pid, what in census(self._home).items() if what == kind]
        if not victims:
            return
        try:
            os.kill(self._chance.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            return
        self.killed[kind] += 1


class Policy:
    """The policy server, started again whenever it has gone."""

    def __init__(self, home: QmailHome) -> None:
        self._argv = [sys.executable, str(home.fakes / "policy-server"), f"{home.path}/policy", "/dev/null"]
        self._env = home.environment()
        self.process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(self._argv, env=self._env, stderr=subprocess.DEVNULL)

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def storm(home: QmailHome, directory: Path, seed: int, senders: int, each: int, pause: float, *options: str) -> Storm:
    """Send `senders` times `each` messages, or more until enough are killed, to a service in `directory` that is hit
    about every `pause` seconds.
    """

    def enough() -> bool:
        return killer.killed.total() >= KILLS

    port, policy, killer = free_port(), Policy(home), Killer(home.path, seed, pause)
    argv = qmailfork("listen", "-H", "-R", "-l", "mx", "--workers", "2", *options, "127.0.0.1", str(port))
    env = {name: value for name, value in home.environment().items() if not name.startswith("TCP")}
    env |= {"SMTPEXTFORK": LIST.format(home=home.path), "SMTPEXTFORKFAIL": "defer", "FAKE_QUEUE_WAITS": "2"}
    try:
        with supervised(directory, argv, env) as service, Every(policy.tend, lambda: 0.1):
            with Load(port, senders, each, seed, True, enough) as load, Every(killer.kill, killer.pause):
                wait_for(lambda: load.done, 86400, what="the load")
            service.svc("-d")
            wait_for(lambda: set(census(home.path).values()) <= {POLICY}, what="the last process of the service")
            return Storm(settle(load, home), killer.killed, (directory / "log").read_text("latin-1").splitlines())
    finally:
        policy.end()


def census(home: Path) -> dict[int, str]:
    """The processes of this home's service by what they are."""
    found = {}
    everyone = of_home(home)
    for pid, name in everyone.items():
        command = Path(f"/proc/{pid}/cmdline")
        try:
            words = command.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = parent_of(pid)
        if b"listen" in words:
            found[pid] = WORKER if b"listen" in command_of(parent) else PARENT
        elif name == "qmail-queue":
            found[pid] = QUEUE
        elif any(word.endswith(b"policy-server") for word in words):
            found[pid] = POLICY
        elif any(word.endswith(b"preload.py") for word in words):
            found[pid] = PRELOADED
        elif name != "supervise":
            found[pid] = CHECKER
    return found


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def command_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
