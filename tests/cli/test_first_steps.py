"""README's way from nothing to a checked service ("Put it into service"), read out of README.md and run.

/usr/local and /var are directories of the test's. One command is not run as it stands: `pip install .`, which is slow
and needs a network, is replaced by links to the programs that the tests run with, installed by pip in the same way.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_service import Place, answered
from tests.supervisors import open_directory
from tests.support import ROOT

BINARIES = Path(sys.executable).parent
HEADING = "\n## Put it into service\n"
INSTALL = "pip install ."


@pytest.fixture
def place() -> Iterator[Place]:
    with open_directory() as path:
        yield Place(path)


def commands(path: Path) -> list[str]:
    """The first block of commands in that section, its paths below `path`."""
    section = (ROOT / "README.md").read_text().split(HEADING)[1].split("\n## ")[0]
    block: list[str] = []
    for line in section.splitlines():
        if line.startswith("    "):
            block.append(line.strip())
        elif block:
            break
    return [line.replace("/usr/local/", f"{path}/usr/local/").replace(" /var/", f" {path}/var/") for line in block]


def link_programs(into: Path) -> None:
    """What `pip install .` would do."""
    for program in BINARIES.glob("qmailfork*"):
        (into / program.name).symlink_to(program)


def test_four_commands_to_a_checked_service(place: Place) -> None:
    venv, install, service, check = commands(place.path)
    binaries = place.path / "usr" / "local" / "qmailfork" / "bin"
    subprocess.run(["sh", "-c", venv], env={"PATH": f"{BINARIES}:{os.environ['PATH']}"}, check=True)
    assert install == f"{binaries}/{INSTALL}"
    assert (binaries / "pip").exists()
    link_programs(binaries)

    queue = place.home / "bin" / "qmail-queue"
    queue.parent.mkdir()
    queue.symlink_to("/bin/true")
    argv = service.split()
    assert argv[0] == f"{binaries}/qmailfork"
    told = answered(argv, f"daemontools\nstdio\n{place.port}\n{place.home}\nroot\n/bin/true\n", 80)
    assert "files written" in told, told
    assert f"qmailfork check {argv[-1]}" in told

    done = subprocess.run(["sh", "-c", check], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("nothing found\n", "", 0)
    assert (Path(argv[-1]) / "run").exists()
