"""The source of rules into a cdb, by tcprules itself (tcprules(1))."""

import shutil
import subprocess

from qmailfork.cli import words

PROGRAM = "tcprules"


def compiled(source: str, cdb: str) -> str | None:
    """Let tcprules make `cdb` of `source`: what it has against it, empty for nothing; None where it is not in PATH.

    Raises OSError where `source` cannot be read.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    with open(source, "rb") as rules:
        done = subprocess.run([program, cdb, f"{cdb}.tmp"], stdin=rules, capture_output=True, check=False)
    return (words.shown(done.stderr.strip()) or f"exit status {done.returncode}") if done.returncode else ""
