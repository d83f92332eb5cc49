"""An interpreter that has what `pip install qmailfork` brings, and no extra: what it lacks, it really lacks."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.support import ROOT


def needed(name: str = "qmailfork") -> Iterator[Distribution]:
    """The distributions that `name` cannot do without, at any depth."""
    for text in distribution(name).requires or []:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield distribution(wanted.name)
            yield from needed(wanted.name)


def libraries(directory: Path) -> Path:
    """Links in `directory` to the files of what is needed, and to nothing else."""
    directory.mkdir()
    for one in needed():
        for top in {file.parts[0] for file in one.files or [] if file.parts[0] != ".."} - {"__pycache__"}:
            if not (directory / top).is_symlink():
                (directory / top).symlink_to(os.path.abspath(one.locate_file(top)))
    return directory


def run(directory: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, the tree, and the libraries in `directory` alone: site is off (-S)."""
    path = os.pathsep.join(map(str, (directory, ROOT, ROOT / "contrib")))
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-S", *words]
    done = subprocess.run(argv, env=environment, input=given, capture_output=True, check=False)
    return subprocess.CompletedProcess(argv, done.returncode, done.stdout.decode(), done.stderr.decode())


def qmailfork(directory: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the operator's command; bin/qmailfork itself would bring site."""
    return run(directory, "-c", "from qmailfork.cli.main import main; main()", *words, given=given)
