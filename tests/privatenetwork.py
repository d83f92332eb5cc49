"""A network of a test's own, with nothing but loopback in it: there every port is free, 25, 53 and 113 too.

Linux has namespaces for each thread; so the test's body runs in a thread that leaves ours, and what it starts follows.
"""

import ctypes
import fcntl
import functools
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.nameserver import Nameserver, Zone, serving

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


def leave() -> None:
    """Puts this thread into a network and a tree of mounts of its own. Raises OSError."""
    if _libc.unshare(CLONE_NEWNET | CLONE_NEWNS) == -1:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def bind(file: Path, over: str) -> None:
    """Puts a file in the place of another one, for this thread and what it starts."""
    subprocess.run(["mount", "--bind", str(file), over], check=True)


@contextmanager
def dns(directory: Path, zone: Zone, seconds: int = 1) -> Iterator[Nameserver]:
    """A name server with this `zone` that this network's resolvers ask; `directory` holds their resolv.conf.

    Their only question goes without an answer after `seconds`.
    """
    conf = directory / "resolv.conf"
    conf.write_text(f"nameserver 127.0.0.1\noptions timeout:{seconds} attempts:1\n")
    bind(conf, "/etc/resolv.conf")
    with serving(zone, port=53) as server:
        yield server


def in_private(test: Callable[..., None]) -> Callable[..., None]:
    """A test that runs in a network of its own."""

    @functools.wraps(test)
    def run(*arguments: object, **named: object) -> None:
        faults: list[BaseException] = []

        def body() -> None:
            try:
                leave()
                test(*arguments, **named)
            except BaseException as fault:  # raised in the test's own thread
                faults.append(fault)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if faults:
            raise faults[0]

    only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a network of its own")
    return only_root(run)
