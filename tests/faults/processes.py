"""The processes of a server under test, found by the home that stands in their environment (Linux: proc(5))."""

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def of_home(home: Path) -> dict[int, str]:
    """Every live process whose environment names `home`: process id → name of its program."""
    marker = os.fsencode(home)
    found = {}
    for pid in (int(name) for name in os.listdir(PROC) if name.isdigit()):
        try:
            if pid != os.getpid() and marker in (PROC / f"{pid}/environ").read_bytes():
                found[pid] = (PROC / f"{pid}/comm").read_text().strip()
        except GONE:
            continue
    return found


def environments_and_arguments() -> Iterator[bytes]:
    """What anybody may read of every process, this one too."""
    for file in ("environ", "cmdline"):
        for place in PROC.glob(f"[0-9]*/{file}"):
            try:
                yield place.read_bytes()
            except OSError:  # it has ended
                continue


def children(pid: int) -> dict[int, str]:
    """The children of a process: process id → name of its program."""
    found = {}
    try:
        for child in (PROC / f"{pid}/task/{pid}/children").read_text().split():
            found[int(child)] = (PROC / f"{child}/comm").read_text().strip()
    except GONE:
        pass
    return found


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(PROC / f"{pid}/fd"))


def resident(pid: int) -> int:
    """KiB that a process has in memory."""
    status = (PROC / f"{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
