"""The servers that are compared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.servers import OnSocket, Ours, Reference, Servers
from tests.registry import OURS
from tests.servers import REFERENCE, reference_there
from tests.support import QmailHome, smtpd


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, fakes: Path) -> Ours:
    return Ours(QmailHome(tmp_path_factory.mktemp("ours") / "qmail", fakes))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, fakes: Path, ours: Ours) -> Iterator[Servers]:
    def home(name: str) -> QmailHome:
        return QmailHome(tmp_path_factory.mktemp(name) / "qmail", fakes)

    warm = [OnSocket(home(driver.name), driver) for driver in OURS if not driver.cold]
    if not reference_there():
        yield Servers(ours, warm, None, None)
        return
    with (
        Reference(home("theirs"), [str(REFERENCE)]) as theirs,
        Reference(home("wrapping"), smtpd(str(REFERENCE))) as wrapping,
    ):
        yield Servers(ours, warm, theirs, wrapping)
