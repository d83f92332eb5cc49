"""The process that forks a preloaded checker, by itself."""

import marshal
import os
import socket
import subprocess
import sys
from pathlib import Path

from qmailfork.system import preload

TOGETHER = 60  # forks at a time
ROUNDS = 10


def test_many_that_end_together(tmp_path: Path) -> None:
    """SIGCHLD that comes while an earlier one is dealt with does not confuse it: each end is told once."""
    checker = tmp_path / "checker"
    checker.write_text("def main():\n    return 0\n")
    ours, its = socket.socketpair()
    descriptor = its.fileno()
    argv = [sys.executable, preload.__file__, str(descriptor), str(checker)]
    with its, ours, subprocess.Popen(argv, pass_fds=[descriptor], stderr=subprocess.PIPE) as process:
        its.close()
        told = ours.makefile("rb")
        for first in range(0, TOGETHER * ROUNDS, TOGETHER):
            for number in range(first, first + TOGETHER):
                ask(ours, number, tmp_path)
            ended = sorted(told.readline() for _ in range(TOGETHER))
            assert ended == sorted(b"%d 0\n" % number for number in range(first, first + TOGETHER)), first
        told.close()
        ours.close()
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait() == 0


def ask(channel: socket.socket, number: int, home: Path) -> None:
    """Ask for a fork."""
    request = marshal.dumps((number, [b"checker"], {}))
    null, directory = os.open("/dev/null", os.O_RDWR), os.open(home, os.O_RDONLY)
    socket.send_fds(channel, [len(request).to_bytes(preload.LENGTH, "big") + request], [null, null, directory])
    os.close(null)
    os.close(directory)
