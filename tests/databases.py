"""Real servers for tests, each in a directory of its own, on a unix socket, as an ordinary user."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

POSTGRESQL = ("/usr/lib/postgresql/*/bin/initdb", "/usr/local/bin/initdb", "/usr/bin/initdb")
UNPRIVILEGED = 65534  # who runs PostgreSQL's server, which refuses to be root, where the tests are root's


def postgresql_programs() -> pathlib.Path:
    """Return the directory of initdb and pg_ctl. Raises FileNotFoundError."""
    for pattern in POSTGRESQL:
        for found in sorted(pathlib.Path("/").glob(pattern[1:]), reverse=True):
            return found.parent
    raise FileNotFoundError("PostgreSQL's server (Debian: postgresql)")


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL server; yield the URI of its database postgres, superuser tests."""
    programs = postgresql_programs()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has at most 107 octets
    if os.getuid() == 0:
        os.chown(directory, UNPRIVILEGED, UNPRIVILEGED)
    data = directory / "data"
    options = f"-k {directory} -c listen_addresses= -c fsync=off -c shared_buffers=1MB -c max_connections=20"
    try:
        _run(directory, programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-N")
        control = [programs / "pg_ctl", "-D", data, "-l", directory / "log"]
        _run(directory, *control, "-w", "-o", options, "start")
        try:
            yield f"postgresql://tests@/postgres?host={directory}"
        finally:
            _run(directory, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(directory: pathlib.Path, *command: str | pathlib.Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    user = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []} if os.getuid() == 0 else {}
    subprocess.run(command, check=True, cwd=directory, env=env, stdout=subprocess.DEVNULL, **user)  # type: ignore[call-overload]
