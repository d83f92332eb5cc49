"""Service directories under the real svscan, runsvdir and s6-svscan."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import wait_for

COMMANDS = {
    "daemontools": (["svscan"], ["svc", "-dx"], ["svstat"], ["svc", "-t"]),
    "runit": (["runsvdir"], ["sv", "-w", "5", "exit"], ["sv", "status"], ["sv", "term"]),
    "s6": (["s6-svscan"], ["s6-svc", "-dx"], ["s6-svstat"], ["s6-svc", "-t"]),
}


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory of its own with a short path, which every user may enter; a socket's path has to be short."""
    with tempfile.TemporaryDirectory(prefix="qf", dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield Path(name)


class Supervision:
    """A supervisor at work on the services that `add` links into its scan directory."""

    def __init__(self, kind: str, scanned: Path) -> None:
        self.scan, self.end, self.status, self.term = COMMANDS[kind]
        self.kind = kind
        self.scanned = scanned

    def link(self, *directories: Path) -> None:
        for directory in directories:
            (self.scanned / directory.name).symlink_to(directory)

    def state(self, name: str) -> str:
        argv = [*self.status, str(self.scanned / name)]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    def pid(self, name: str) -> str:
        """The process id of what is supervised, empty where it does not run."""
        found = re.search(r"(?:up|run): .*?\(pid (\d+)\)|up \(pid (\d+)", self.state(name))
        return (found[1] or found[2]) if found else ""

    def restart(self, name: str) -> None:
        """TERM; and wait for another process to be there."""
        old = wait_for(lambda: self.pid(name), what="it to run")
        subprocess.run([*self.term, str(self.scanned / name)], check=True)
        wait_for(lambda: self.pid(name) not in ("", old), what="it to run again")

    def stop(self) -> None:
        """Every service and every log goes down, and its supervisor with it."""
        for link in self.scanned.iterdir():
            if link.is_symlink():
                for place in (link, link / "log"):
                    subprocess.run([*self.end, str(place)], capture_output=True, check=False)


@contextmanager
def supervision(kind: str, scanned: Path, *directories: Path, path: str = "") -> Iterator[Supervision]:
    """A supervisor of this kind for service `directories`; what it says itself goes to a file beside them."""
    scanned.mkdir()
    found = Supervision(kind, scanned)
    found.link(*directories)
    environment = {"PATH": path or os.environ["PATH"]}
    with (scanned.parent / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [*found.scan, str(scanned)], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    with process:
        try:
            yield found
        finally:
            process.send_signal(signal.SIGKILL if kind == "daemontools" else signal.SIGSTOP)  # it starts nothing anew
            found.stop()
            wait_for(lambda: not _left(process.pid, kind), what="services to end")
            process.kill()


def _left(group: int, kind: str) -> list[int]:
    """The supervised processes that are still there; s6 and runit give each a session of its own."""
    found = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in found.stdout.splitlines()]
    return [int(pid) for pid, parent, of, state in rows
            if int(pid) != group and group in (int(parent), int(of)) and state[0] != "Z"]  # fmt: skip
