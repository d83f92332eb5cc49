"""contrib/service and contrib/service-listen: what `qmailfork service` writes for daemontools, for any host.

`python -m tests.contrib.services` in the tree writes them anew.
"""

from pathlib import Path

from qmailfork.cli.services import scripts, written
from qmailfork.cli.services.plan import LISTENER, STDIO, Plan

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
KINDS = {"service": STDIO, "service-listen": LISTENER}
DIRECTORY = "/var/qmail/supervise/smtpd"


def files(name):
    """The files of contrib/NAME as they are to be: their paths, and text and whether it is a program."""
    plan = Plan(DIRECTORY, "daemontools", KINDS[name], python="python3", programs=("/usr/local/bin",))
    found = scripts.directories(plan)
    return {CONTRIB / name / path.removeprefix(f"{DIRECTORY}/"): file for path, file in found.items()}


if __name__ == "__main__":
    for each in KINDS:
        print(*written.write({str(path): file for path, file in files(each).items()}, lambda path: True), sep="\n")
