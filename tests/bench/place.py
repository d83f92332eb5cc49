"""Where the measuring happens: a qmail home with a queue that keeps nothing, and the small C programs."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
PROGRAMS = ("sink", "pass", "spawn", "policy")


@dataclass(frozen=True)
class Place:
    """`path` holds the C programs and is qmail's home; `runs` is how often each side of a row runs."""

    path: Path
    runs: int

    def program(self, name: str) -> str:
        return str(self.path / name)

    def environment(self, **more: str) -> dict[str, str]:
        """What tcpserver would set, for a client that may send to anybody."""
        return {
            "PATH": os.defpath, "QMAILHOME": str(self.path), "QMAILQUEUE": self.program("sink"), "RELAYCLIENT": "",
            "PROTO": "TCP", "TCPLOCALIP": "192.0.2.1", "TCPLOCALPORT": "25", "TCPLOCALHOST": "mail.joedomain.net",
            "TCPREMOTEIP": "203.0.113.7", "TCPREMOTEPORT": "40000", **more,
        }  # fmt: skip

    def said(self, name: str, *pieces: bytes) -> Path:
        """A file with what a client says."""
        file = self.path / name
        file.write_bytes(b"".join(pieces))
        return file


@contextmanager
def place(runs: int) -> Iterator[Place]:
    """A place that is gone afterwards."""
    with TemporaryDirectory() as directory:
        path = Path(directory)
        (path / "control").mkdir()
        (path / "control" / "me").write_text("mail.joedomain.net\n")
        for name in PROGRAMS:
            subprocess.run(["cc", "-O2", "-o", str(path / name), str(HERE / f"{name}.c")], check=True)
        yield Place(path, runs)
