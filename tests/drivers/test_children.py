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
from qmailfork.drivers.worker import queue, wrapped
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
LEFT = """
wrapped.PATIENCE = 0.1
child = wrapped.Wrapped(watched, reaper, [b"/bin/sleep", b"60"], {}, 2)
loop.call_soon(child.leave)
loop.run_until_complete(reaper.settle(20.0))
print(len(posix.listdir("/dev/fd")) - descriptors, reaper._awaited)
"""
ENDED = """
pid = spawn.launch([b"/bin/sh", b"-c", b"exit 3"], {}, ())
posix.waitid(posix.P_PID, pid, posix.WEXITED | posix.WNOWAIT)
for _ in range(3):
    loop.run_until_complete(asyncio.sleep(0))  # the signal has come and gone

def told(status):
    print(posix.waitstatus_to_exitcode(status))
    loop.stop()

reaper.watch(pid, told)
loop.run_forever()
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


def test_an_end_that_came_before_anyone_watched(way: str) -> None:
    assert script(ENDED, way).stdout == "3\n"


def test_a_queue_program_that_does_not_end_when_it_is_abandoned(way: str, fakes: Path, tmp_path: Path) -> None:
    done = script(ABANDONED, way, str(fakes / "queue-hang"), str(tmp_path))
    assert done.stdout == "0\n"
    assert "ProcessLookupError" in done.stderr


def test_a_wrapped_program_that_does_not_end_when_it_is_left(way: str) -> None:
    assert script(LEFT, way).stdout == "0 {}\n"
