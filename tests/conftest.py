"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.listeners import LISTENERS, WRAPPERS
from tests.support import QmailHome, build_fakes

settings.register_profile("untimed", deadline=None)  # a machine at work is no fault of the code
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the compiled and copied fakes (tests/fakes)."""
    return build_fakes(tmp_path_factory.mktemp("fakes"))


@pytest.fixture(scope="session", autouse=True)
def listeners_end() -> Iterator[None]:
    """The listeners that served transcripts end with the tests."""
    yield
    LISTENERS.close()
    WRAPPERS.close()


@pytest.fixture
def home(tmp_path: Path, fakes: Path) -> QmailHome:
    """A fresh qmail home with the storing queue."""
    return QmailHome(tmp_path / "qmail", fakes)


@pytest.fixture
def other_home(tmp_path: Path, fakes: Path) -> QmailHome:
    """Another one."""
    return QmailHome(tmp_path / "other" / "qmail", fakes)
