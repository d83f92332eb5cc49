"""A service under real supervise, for the tests of restarts."""

import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import wait_for


@dataclass(frozen=True)
class Service:
    """A service directory with supervise running on it."""

    directory: Path

    def svc(self, *options: str) -> None:
        subprocess.run(["svc", *options, str(self.directory)], check=True)

    def pid(self) -> int:
        """The process id of what is supervised, 0 where it does not run."""
        told = subprocess.run(["svstat", str(self.directory)], capture_output=True, text=True, check=True).stdout
        return int(told.partition("(pid ")[2].partition(")")[0] or 0)

    def rested(self) -> bool:
        """Whether supervise heeds svc at once: it sleeps for a second after each start."""
        told = subprocess.run(["svstat", str(self.directory)], capture_output=True, text=True, check=True).stdout
        return int(told.partition(") ")[2].partition(" ")[0] or 0) > 1

    def wait_for_pid(self, other_than: int = 0) -> int:
        return wait_for(lambda: (now := self.pid()) != other_than and now, what="supervise to start it")


@contextmanager
def supervised(directory: Path, argv: Sequence[str], env: Mapping[str, str]) -> Iterator[Service]:
    """`argv` as the run file of a service; at the end it is told to go down, and its sessions end with it."""
    directory.mkdir()
    run = directory / "run"
    run.write_text(f"#!/bin/sh\nexec 2>>log\nexec {shlex.join(argv)}\n")
    run.chmod(0o755)
    with subprocess.Popen(["supervise", str(directory)], env=dict(env), start_new_session=True) as process:
        try:
            wait_for((directory / "supervise" / "ok").exists, what="supervise")
            service = Service(directory)
            service.wait_for_pid()
            yield service
        finally:
            subprocess.run(["svc", "-dx", str(directory)], check=False)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
            end_what_is_left(process.pid)


def end_what_is_left(group: int) -> None:
    """Ends the processes that supervise's own group still has."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def free_port() -> int:
    """A port that nobody listens on now: a service has to come back at the same one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
