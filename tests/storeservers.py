"""Servers for softfail's stores: Redis, a Redis cluster of one node, and a PostgreSQL that logs every statement."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator

from tests.databases import UNPRIVILEGED, postgresql_programs

DEADLINE = 60  # seconds until a server that has not come up never will


class Server:
    """A running server. address: what SOFTFAIL_STORE takes. process: its own, to be stopped or killed."""

    def __init__(self, address: str, process: subprocess.Popen[bytes], directory: pathlib.Path) -> None:
        self.address, self.process, self.directory = address, process, directory


def wait_until(true: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> bool:
    """Poll until true() holds; False if the process ended instead. Raises AssertionError at the deadline."""
    end = time.monotonic() + DEADLINE
    while not true():
        if process and process.poll() is not None:
            return False
        assert time.monotonic() < end, "not come true in time"
        time.sleep(0.01)
    return True


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _redis(directory: pathlib.Path, *options: str) -> subprocess.Popen[bytes]:
    common = ["--dir", str(directory), "--save", "", "--appendonly", "no", "--logfile", str(directory / "redis.log")]
    return subprocess.Popen(["redis-server", *options, *common])


@contextlib.contextmanager
def redis(directory: pathlib.Path, path: str = "") -> Iterator[Server]:
    """Run a Redis on a socket, at path or of its own choice; end it afterwards."""
    path = path or tempfile.mkdtemp(prefix="redis") + "/s"  # short: a socket's path has at most 104 octets
    process = _redis(directory, "--port", "0", "--unixsocket", path)
    with _ended(process):
        assert wait_until(lambda: _succeeds("redis-cli", "-s", path, "ping"), process)
        yield Server(f"redis+unix://{path}", process, directory)
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)


@contextlib.contextmanager
def redis_cluster(directory: pathlib.Path) -> Iterator[Server]:
    """Run a cluster of one Redis node that has all slots; end it afterwards."""
    while True:
        port, bus = str(free_port()), str(free_port())
        options = ["--port", port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-port", bus]
        process = _redis(directory, *options, "--cluster-announce-ip", "127.0.0.1")
        with _ended(process):
            if not wait_until(lambda port=port: _succeeds("redis-cli", "-p", port, "ping"), process):
                continue  # somebody else took the port
            assert _succeeds("redis-cli", "-p", port, "cluster", "addslotsrange", "0", "16383")
            wait_until(lambda port=port: _cluster_is_ok(port))
            yield Server(f"redis+cluster://127.0.0.1:{port}", process, directory)
            return


def _cluster_is_ok(port: str) -> bool:
    said = subprocess.run(["redis-cli", "-p", port, "cluster", "info"], capture_output=True, check=False).stdout
    return b"cluster_state:ok" in said


@contextlib.contextmanager
def postgresql() -> Iterator[Server]:
    """Run a PostgreSQL on a socket in a directory of its own, as a user that is not root; end it afterwards."""
    root, programs = os.geteuid() == 0, postgresql_programs()
    who = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []} if root else {}
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        directory = pathlib.Path(name)
        if root:
            os.chown(directory, UNPRIVILEGED, UNPRIVILEGED)
        data, log = str(directory / "data"), directory / "log"
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", "tests", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, cwd=directory, stdout=subprocess.DEVNULL, check=True, **who)  # type: ignore[call-overload]
        options = ["-D", data, "-k", name, "-F", "-c", "listen_addresses=", "-c", "log_statement=all"]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [programs / "postgres", *options], cwd=directory, stderr=file, stdout=file, **who
            )
        with _ended_gently(process):
            assert wait_until(lambda: _succeeds(str(programs / "pg_isready"), "-q", "-h", name), process), (
                log.read_text()
            )
            yield Server(f"postgresql:///postgres?user=tests&host={name}", process, directory)


@contextlib.contextmanager
def _ended_gently(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGINT is PostgreSQL's fast shutdown; a kill would leave its shared memory behind."""
    try:
        yield
    finally:
        process.send_signal(2)
        process.wait(DEADLINE)
