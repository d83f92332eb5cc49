"""The servers that are compared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.servers import OnSocket, Ours, Reference
from tests.registry import OURS
from tests.servers import REFERENCE
from tests.support import QmailHome, smtpd


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, fakes: Path) -> Ours:
    return Ours(QmailHome(tmp_path_factory.mktemp("ours") / "qmail", fakes))


@pytest.fixture(scope="module", params=[driver for driver in OURS if not driver.cold], ids=lambda driver: driver.name)
def warm(tmp_path_factory: pytest.TempPathFactory, fakes: Path, request: pytest.FixtureRequest) -> OnSocket:
    return OnSocket(QmailHome(tmp_path_factory.mktemp("warm") / "qmail", fakes), request.param)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, fakes: Path) -> Iterator[Reference]:
    with Reference(QmailHome(tmp_path_factory.mktemp("theirs") / "qmail", fakes), [str(REFERENCE)]) as reference:
        yield reference


@pytest.fixture(scope="module")
def wrapping(tmp_path_factory: pytest.TempPathFactory, fakes: Path) -> Iterator[Reference]:
    home = QmailHome(tmp_path_factory.mktemp("wrapping") / "qmail", fakes)
    with Reference(home, smtpd(str(REFERENCE))) as wrapper:
        yield wrapper
