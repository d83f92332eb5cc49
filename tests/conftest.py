"""Fixtures for all tests."""

from pathlib import Path

import pytest

from tests.support import QmailHome, build_fakes


@pytest.fixture(scope="session")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the compiled and copied fakes (tests/fakes)."""
    return build_fakes(tmp_path_factory.mktemp("fakes"))


@pytest.fixture
def home(tmp_path: Path, fakes: Path) -> QmailHome:
    """A fresh qmail home with the storing queue."""
    return QmailHome(tmp_path / "qmail", fakes)
