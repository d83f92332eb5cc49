"""A checker in the three forms that it has: forked, resident, imported once and forked from there."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping

CHECKERS = pathlib.Path(__file__).resolve().parent.parent / "contrib" / "checkers"
BARE = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

PRELOADER = """
import importlib.machinery, importlib.util, json, os, sys, tempfile
loader = importlib.machinery.SourceFileLoader("checker", sys.argv[1])
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("checker", loader))
loader.exec_module(module)
sys.argv = sys.argv[1:]
for line in sys.stdin:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 1)
            os.dup2(log.fileno(), 2)
            os.environ.clear()
            os.environ.update(json.loads(line))
            os._exit(module.main())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ends = [os.pread(file.fileno(), 1 << 20, 0).decode() for file in (output, log)]
    print(json.dumps([code, *ends]), flush=True)
"""


def forked(program: str | pathlib.Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a checker by hand with env and arguments."""
    command = [sys.executable, str(CHECKERS / program), *arguments]
    return subprocess.run(command, env={**BARE, **env}, capture_output=True, text=True, check=False)


class Preloaded:
    """A checker imported once and forked for each environment, as a fork server does it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run(self, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Fork the checker for env; return its exit code and what it wrote."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**BARE, **env}) + "\n")
        self.process.stdin.flush()
        code, output, log = json.loads(self.process.stdout.readline())
        return subprocess.CompletedProcess(self.process.args, code, output, log)


@contextlib.contextmanager
def preloaded(program: str | pathlib.Path) -> Iterator[Preloaded]:
    """Import a checker in a process of its own; end that afterwards."""
    command = [sys.executable, "-B", "-c", PRELOADER, str(CHECKERS / program)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=BARE, stdin=pipe, stdout=pipe, text=True) as process:
        yield Preloaded(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


class Resident:
    """A checker as a policy server; a connection to it; what it logged once it has ended."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address
        self.log = ""

    def connect(self) -> socket.socket:
        """Return a new connection."""
        kind, _, rest = self.address.partition(":")
        if kind == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(rest)
            return connection
        host, _, port = rest.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)))

    def ask(self, **attributes: str) -> str:
        """Send one request on a connection of its own; return the action."""
        with self.connect() as connection:
            return ask(connection, **attributes)


def ask(connection: socket.socket, **attributes: str) -> str:
    """Send one request and return the action, empty if the connection was closed instead."""
    lines = {"request": "smtpd_access_policy", "protocol_state": "RCPT", **attributes}
    connection.sendall("".join(f"{name}={value}\n" for name, value in lines.items()).encode() + b"\n")
    return answer(connection)


def answer(connection: socket.socket) -> str:
    """Read one answer and return the action, empty if the connection was closed instead."""
    got = b""
    while not got.endswith(b"\n\n"):
        try:
            piece = connection.recv(4096)
        except ConnectionResetError:  # closed before it had read all
            piece = b""
        if not piece:
            return ""
        got += piece
    return got.decode("ascii").strip().removeprefix("action=")


@contextlib.contextmanager
def resident(
    program: str | pathlib.Path, env: Mapping[str, str], address: str = "inet:127.0.0.1:0"
) -> Iterator[Resident]:
    """Run a checker as a policy server on address; end it with SIGTERM, which it has to answer with exit code 0."""
    command = [sys.executable, str(CHECKERS / program), "--policy", address]
    with subprocess.Popen(command, env={**BARE, **env}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        if " listening on " not in first:
            process.kill()
            raise AssertionError(first)
        server = Resident(process, first.rstrip("\n").partition(" listening on ")[2])
        try:
            yield server
        finally:
            process.terminate()
            server.log = process.stderr.read()
        assert process.wait() == 0
