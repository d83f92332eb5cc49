"""Queue programs, checkers, policy server, workers and the parent are killed at random under load: no mail is lost."""

from pathlib import Path

import pytest

from tests.faults.storm import storm
from tests.support import QmailHome


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_is_acknowledged_is_queued_once(loop: str, home: QmailHome, tmp_path: Path) -> None:
    came_of_it = storm(home, tmp_path / "service", 9, 6, 40, 0.015, "--loop", loop)
    assert came_of_it.account.acknowledged >= 240
    assert not any("Traceback" in line for line in came_of_it.log)
