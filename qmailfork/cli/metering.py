"""What `--metrics` needs besides an address, and `top` for reading there."""

import importlib.util
import sys

from qmailfork.cli.faults import Fatal

PACKAGE = "prometheus-client"
INSTALLING = f"{sys.executable} -m pip install {PACKAGE}"


def expect(what: str) -> None:
    """Raises Fatal where the package is not there that `what` needs."""
    if is_missing():
        raise Fatal(f"{what}: {PACKAGE} is not installed; the extra qmailfork[metrics] brings it")


def is_missing() -> bool:
    """Whether the package that tells the numbers is not there; the extra qmailfork[metrics] brings it."""
    return importlib.util.find_spec("prometheus_client") is None
