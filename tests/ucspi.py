"""Real tcpserver, tcprules and envdir around a program."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.smtpclient import Client
from tests.support import wait_for


@dataclass(frozen=True)
class Server:
    """A listening server: where it listens, its process, and the file that gets its descriptor 2."""

    host: str
    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    def connect(self) -> Client:
        return Client.connect(self.host, self.port)

    def log(self) -> list[str]:
        """The lines on descriptor 2 so far."""
        return self.log_file.read_bytes().decode("utf-8", "replace").splitlines()

    def wait_log(self, part: str) -> str:
        """The first log line that contains `part`, once it is there."""
        return wait_for(
            lambda: next((line for line in self.log() if part in line), ""), what=f"a log line with {part!r}"
        )


def tcprules(directory: Path, rules: str, name: str = "rules") -> Path:
    """Compiles `rules` with tcprules; returns the cdb."""
    cdb = directory / f"{name}.cdb"
    subprocess.run(["tcprules", str(cdb), f"{cdb}.tmp"], input=rules.encode(), check=True)
    return cdb


def envdir(directory: Path, values: Mapping[str, str | None]) -> Path:
    """An env-dir of these variables (None: a file of no length, which removes the variable)."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (directory / name).write_bytes(b"" if value is None else value.encode() + b"\n")
    return directory


@contextmanager
def listening(argv: Sequence[str], env: Mapping[str, str], log_file: Path, host: str) -> Iterator[Server]:
    """A server that prints its port first (-1); ended with TERM, its session's processes with it."""
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    with process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().strip()
            assert said.isdigit(), f"no port: {said!r}, {log_file.read_text('latin-1')}"
            yield Server(host, int(said), process, log_file)
        finally:
            end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """TERM to the group that `process` leads, KILL to it where the leader stays."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def tcpserver(
    program: Sequence[str],
    env: Mapping[str, str],
    directory: Path,
    *,
    rules: str | None = None,
    variables: Mapping[str, str | None] | None = None,
    options: Sequence[str] = (),
    host: str = "127.0.0.1",
) -> AbstractContextManager[Server]:
    """tcpserver on a free port before `program`; files go below `directory`.

    `rules` are compiled with tcprules and given with -x; `variables` become an env-dir, read by envdir. `env`
    loses the TCP variables, which tcpserver sets; -H, -R and -l keep it from asking anybody for names.
    """
    argv = ["tcpserver", "-v", "-1", "-H", "-R", "-l", "mail.joedomain.net", *options]
    if rules is not None:
        argv += ["-x", str(tcprules(directory, rules))]
    if variables is not None:
        argv = ["envdir", str(envdir(directory / "env", variables)), *argv]
    kept = {name: value for name, value in env.items() if not name.startswith("TCP") and name != "PROTO"}
    return listening([*argv, host, "0", *program], kept, directory / "tcpserver.log", host)
