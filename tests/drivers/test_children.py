"""Programs beside the event loop (drivers/worker): with a pidfd, with SIGCHLD where a system has none, and blindly
where it refuses one.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qmailfork.conversation import requests
from tests.support import ROOT

START = f"""
import asyncio, json, os, posix, sys
way = sys.argv.pop(1)
if way == "signal":
    del posix.pidfd_open
if way == "blind":
    posix.pidfd_open = lambda pid: posix.open("/absent", posix.O_RDONLY)
sys.path.insert(0, {str(ROOT)!r})
from qmailfork.conversation import requests
from qmailfork.drivers.worker import queue
from qmailfork.drivers.worker.children import Reaper, Run
from qmailfork.drivers.worker.reactor import reactor
from qmailfork.system import spawn
from qmailfork.system.queue import Handover

null = spawn.seal()
loop = asyncio.new_event_loop()
watched = reactor(loop)
reaper = Reaper(watched)
descriptors = len(posix.listdir("/dev/fd"))
"""
RUNS = """
ends = {}

def run(name, seconds, *command):
    def told(outcome):
        ends[name] = [outcome.how, outcome.code, len(outcome.output)]
        if len(ends) == 13:
            loop.stop()
    Run(watched, reaper, null, 2, requests.Run(list(command), {}, seconds), {}, told)

for code in range(10):
    run(str(code), 30.0, b"/bin/sh", b"-c", b"echo; exit %d" % code)
run("late", 0.01, b"/bin/sleep", b"60")
run("later", 0.2, b"/bin/sleep", b"60")
run("floods", 30.0, b"/bin/sh", b"-c", b"sleep 0.1; head -c 300000 /dev/zero")
loop.run_forever()
print(json.dumps(ends), len(posix.listdir("/dev/fd")) - descriptors, sep="\\n")
"""
ABANDONED = """
queue.PATIENCE = 0.1
handover = Handover(sys.argv[1].encode(), {b"FAKE_QUEUE_DIR": sys.argv[2].encode()}, 2)
under_way = queue.Queue(watched, reaper, handover)
assert under_way.write(b"x", lambda: None)
under_way.abandon(loop.stop)
loop.run_forever()
print(len(posix.listdir("/dev/fd")) - descriptors)
posix.kill(handover.pid, 0)
"""

pytestmark = pytest.mark.parametrize("way", ["pidfd", "signal", "blind"])


def script(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", START + text, *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def test_each_end_is_told(way: str) -> None:
    done = script(RUNS, way)
    ends, left = map(json.loads, done.stdout.splitlines())
    assert ends == {
        **{str(code): ["exit", code, 1] for code in range(10)},
        "late": ["timeout", 0, 0],
        "later": ["timeout", 0, 0],
        "floods": ["exit", 0, requests.Run.OUTPUT],
    }
    assert left == 0


def test_a_queue_program_that_does_not_end_when_it_is_abandoned(way: str, fakes: Path, tmp_path: Path) -> None:
    done = script(ABANDONED, way, str(fakes / "queue-hang"), str(tmp_path))
    assert done.stdout == "0\n"
    assert "ProcessLookupError" in done.stderr
