"""A mail site in a directory of its own, and vchkuser run on it by hand, as the real program."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import cdblib

from tests.checkerforms import answer, resident

PROGRAM = Path(__file__).resolve().parents[1] / "contrib" / "checkers" / "vchkuser"
PASS, REFUSE, DEFER = 0, 100, 101
ACTIONS = {"DUN": PASS, "554": REFUSE, "450": DEFER}  # what a policy server's answer begins with


class MailSite:
    """What vchkuser finds under QMAILHOME, and the variables that it is run with."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {"QMAILHOME": str(home), "PATH": "/usr/bin:/bin"}
        self.control("me", "mx.example.org")
        self.control("rcpthosts", "# what we take", "Example.org", ".example.net ")

    def write(self, name: str, text: str | bytes = "") -> Path:
        """Write a file under QMAILHOME; its directories are made."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def control(self, name: str, *lines: str) -> Path:
        """Write a control file."""
        return self.write(f"control/{name}", "".join(line + "\n" for line in lines))

    def cdb(self, name: str, records: Iterable[tuple[bytes, bytes]]) -> Path:
        """Write a cdb under QMAILHOME."""
        path = self.write(name)
        with path.open("wb") as file, cdblib.Writer(file) as writer:
            for key, value in records:
                writer.put(key, value)
        return path

    def ask(
        self, recipient: str | bytes | None, *before: str, **env: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run vchkuser, with the command before in front of it, and return what it did."""
        told = {} if recipient is None else {"REMOTERCPT": os.fsdecode(recipient)}
        full = {**self.env, **told, **env}
        return subprocess.run(
            [*before, sys.executable, "-I", str(PROGRAM)], env=full, capture_output=True, check=False
        )

    def code(self, recipient: str | bytes | None, *before: str, **env: str) -> int:
        """Run vchkuser and return its exit code; a traceback is a failure whatever the code."""
        done = self.ask(recipient, *before, **env)
        for word in (b"Traceback", b"internal error"):
            assert word not in done.stderr, done.stderr.decode()
        return done.returncode

    def resident(self, *recipients: str | bytes, **env: str) -> list[int]:
        """Ask one resident vchkuser about each recipient; return its answers as exit codes."""
        codes = []
        with resident(PROGRAM, {**self.env, **env}) as server, server.connect() as connection:
            for recipient in recipients:
                octets = os.fsencode(recipient)
                connection.sendall(b"request=smtpd_access_policy\nrecipient=" + octets + b"\n\n")
                codes.append(ACTIONS[answer(connection)[:3]])
        assert "internal error" not in server.log, server.log
        return codes
