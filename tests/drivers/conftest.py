"""What the tests of the drivers share."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def late_signal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that late_signal.c says how to use."""
    return _library(tmp_path_factory, "late_signal")


@pytest.fixture(scope="session")
def unsafe_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of unsafe_directory.c."""
    return _library(tmp_path_factory, "unsafe_directory")


def _library(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    library = tmp_path_factory.mktemp("library") / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library
