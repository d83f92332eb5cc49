"""What `--metrics` needs besides an address."""

import importlib.util
import sys

PACKAGE = "prometheus-client"
INSTALLING = f"{sys.executable} -m pip install {PACKAGE}"


def is_missing() -> bool:
    """Whether the package that tells the numbers is not there; the extra qmailfork[metrics] brings it."""
    return importlib.util.find_spec("prometheus_client") is None
