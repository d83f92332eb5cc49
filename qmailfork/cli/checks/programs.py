"""The programs of the chain: whether they are there for whoever starts the service."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from qmailfork.cli.checks.chain import Chain
from qmailfork.cli.checks.shell import Script
from qmailfork.cli.finding import ERROR, WARNING, Finding

WHY = "the service does not start"
BUILTIN = ("exec", "command")


def findings(directory: Path, file: str, script: Script, chain: Chain) -> Iterator[Finding]:
    """What is wrong with the programs that `script` runs in the service's `directory`; it stands in `file`."""
    path = _path(script)
    for program in dict.fromkeys(chain.programs):
        if "$" in program or program in BUILTIN:
            continue  # only a shell knows
        if "/" not in program:
            if shutil.which(program, path=path) is None:
                what = f"{program} is not in PATH ({path})"
                yield Finding(WARNING, file, what, WHY, "install it, or name it by its path")
        elif not (directory / program).exists():
            yield Finding(ERROR, file, f"{program} is not there", WHY, "install it, or mend its path")


def _path(script: Script) -> str:
    """Where bare names are looked for: the supervisor's own PATH is taken to be ours."""
    ours = os.environ.get("PATH", os.defpath)
    return script.values.get("PATH", ours).replace("${PATH}", ours).replace("$PATH", ours)
