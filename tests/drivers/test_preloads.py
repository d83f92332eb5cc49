"""Preloaded checkers beside the event loop, where the kernel takes no more descriptors for the process that forks."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

CAPABILITIES = "-sys_resource,-sys_admin"  # who has them may send any number (unix(7))
CHECKER = "def main():\n    return 100\n"
MANY = """
import asyncio, os, resource, signal, sys
from qmailfork.conversation.requests import RunWarm
from qmailfork.drivers.worker.children import Reaper
from qmailfork.drivers.worker.preloads import Preloads
from qmailfork.drivers.worker.reactor import reactor
from qmailfork.system import children, spawn

resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
null, home, log = spawn.seal(), os.open(".", os.O_RDONLY), os.dup(2)
codes = []

def told(outcome):
    codes.append(outcome.code)
    if len(codes) == 26:
        loop.stop()
    elif len(codes) == 1:
        os.kill(forker, signal.SIGSTOP)
        asked = [preloads.run(request, {}, (log, home), told) for _ in range(25)]
        os.kill(forker, signal.SIGCONT)
        assert all(asked)

class Watching(Reaper):
    def watch(self, pid, ended):
        global forker
        forker = pid

loop = asyncio.new_event_loop()
preloads = Preloads(reactor(loop), Watching(reactor(loop)), null)
request = RunWarm([os.fsencode(sys.argv[1])], {}, 60.0)
assert preloads.run(request, {}, (log, home), told)
loop.run_forever()
print(codes)
"""


def test_more_descriptors_on_their_way_than_may_be_open(tmp_path: Path) -> None:
    checker = tmp_path / "checker.py"
    checker.write_text(CHECKER)
    checker.chmod(0o755)
    argv = [sys.executable, "-c", MANY, str(checker)]
    if os.geteuid() == 0:
        argv = ["setpriv", "--bounding-set", CAPABILITIES, "--inh-caps", CAPABILITIES, *argv]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout == f"{[100] * 26}\n", done.stderr
