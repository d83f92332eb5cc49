"""What the tests of the drivers share."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def late_signal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that late_signal.c says how to use."""
    library = tmp_path_factory.mktemp("late") / "late_signal.so"
    source = Path(__file__).with_name("late_signal.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library
