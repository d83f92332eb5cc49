"""A service as it is: a directory with a run script, a systemd unit, or an rc.d script."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

from qmailfork.cli.checks import programs, started, unit
from qmailfork.cli.checks.chain import LISTEN, Chain
from qmailfork.cli.finding import ERROR, WARNING, Finding
from qmailfork.conversation.settings import ControlFault
from qmailfork.system import envdir

Account = tuple[int, int]  # user and group id
LEAST = {LISTEN: 160_000_000}  # octets: qmailfork-smtpd(8)
LEAST_MEMORY = 64_000_000
NUMBER = "554SMTPEXTFORK"


class Service:
    """What is known of the service in `directory`: its `chain`, the `environment` of its sessions, its `user`.

    `starter` is who starts the server, which becomes `user`; None: whoever runs the supervisor. What is wrong with it
    on the way is in `found`. Raises Unreadable.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.found: list[Finding] = []
        self.environment: dict[bytes, bytes] = {}
        self.from_env_dir: dict[bytes, str] = {}
        self.user: Account | None = None
        self.starter: Account | None = None
        self.script = started.script(directory)
        self.chain = Chain(self.script.words, self.script.values)
        self.found += self._supervised()
        self.found += self._chained()
        self._surround()
        self.user = self._account(self.chain.user or self.script.user)
        self.starter = self._account(self.chain.starter or self.script.user)

    def path(self, name: str) -> Path:
        """A file as the chain names it."""
        return self.directory / name

    def _supervised(self) -> Iterator[Finding]:
        for name in ("run", "log/run", "finish"):
            file = self.directory / name
            if file.is_file() and not os.access(file, os.X_OK):
                why = "the supervisor cannot start it"
                yield Finding(ERROR, str(file), "it may not be executed", why, f"chmod +x {file}")
        if (self.directory / "down").exists():
            file = self.directory / "down"
            yield Finding(WARNING, str(file), "it is there", "the supervisor does not start the service", f"rm {file}")

    def _chained(self) -> Iterator[Finding]:
        chain, run = self.chain, str(self.script_file)
        if not chain.server:
            what = f"what is behind {chain.stopped_at!r} cannot be read" if chain.stopped_at else "it runs no server"
            why = "neither qmailfork-smtpd nor qmailfork listen was found; what follows may be wrong"
            yield Finding(WARNING, run, what, why, "check the env-dir with --env-dir, and the rules with --rules")
        yield from programs.findings(self.directory, run, self.script, chain)
        for program, octets in [*chain.limits, *unit.limits(self.script)]:
            if octets < LEAST.get(chain.server, LEAST_MEMORY):
                what, least = f"{program} {octets} is little for Python", LEAST.get(chain.server, LEAST_MEMORY)
                why = "the server does not start, or fails in the middle of a session, or its checkers do"
                yield Finding(ERROR, run, what, why, f"give at least {least}")
        yield from self._digits(run)

    def _digits(self, run: str) -> Iterator[Finding]:
        for shell in dict.fromkeys(self.chain.shells):
            if drops_digits(shell):
                what = f"{shell} stands between the env-dir or the rules and the server"
                why = f"it drops variables whose names begin with a digit, like {NUMBER}"
                yield Finding(WARNING, run, what, why, "take it out, or use the names SMTPEXTFORK554 and so on")

    @property
    def script_file(self) -> Path:
        """The file that says what is run."""
        return self.script.file

    def _surround(self) -> None:
        values = self.script.values
        for name in {*self.script.exported, *self.script.environment}:
            if name in values:
                self.environment[name.encode()] = os.fsencode(values[name])
        self.environment.update({os.fsencode(name): os.fsencode(value) for name, value in self.chain.set.items()})
        for name in self.chain.env_dirs:
            self._take(self.path(name))

    def _take(self, directory: Path) -> None:
        try:
            envdir.apply(os.fsencode(directory), self.environment)
        except ControlFault as fault:
            where, _, what = str(fault).rpartition(": ")
            why, mend = "the server does not start", "a file for each variable, and nothing else in there"
            self.found.append(Finding(ERROR, where, what, why, mend))
            return
        for name in os.listdir(directory):
            self.from_env_dir[os.fsencode(name)] = str(directory / name)

    def _account(self, name: str) -> Account | None:
        if not name or name.startswith("$"):
            return None
        try:
            entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
        except KeyError:
            what, why = f"there is no user {name}", "the server does not start"
            self.found.append(Finding(ERROR, str(self.script_file), what, why, "make this user, or name another"))
            return None
        return entry.pw_uid, entry.pw_gid


def drops_digits(shell: str) -> bool:
    """Whether this shell, run for once, drops a variable whose name begins with a digit."""
    environment = {NUMBER: "x", "PATH": os.environ.get("PATH", os.defpath)}
    try:
        done = subprocess.run([shell, "-c", "env"], env=environment, capture_output=True, check=False)
    except OSError:
        return True
    return NUMBER.encode() not in done.stdout
