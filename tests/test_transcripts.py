"""Every transcript against every driver: whole, line by line, and where they arrive so byte by byte."""

from pathlib import Path

import pytest

from tests.registry import DRIVERS
from tests.servers import Driver
from tests.support import QmailHome
from tests.transcript import Case, play, read_case

CASES = [read_case(file) for file in sorted((Path(__file__).parent / "transcripts").glob("*.txt"))]
CASES.sort(key=Case.control_files)  # those that share a listener, one after the other
PLAYED = [
    pytest.param(driver, case, way, id=f"{driver.name}-{case.name}-{way}")
    for case in CASES
    for driver in DRIVERS
    if case.fits(driver)
    for way in (case.ways if driver.ours else case.ways[:1])
    if driver.bytewise or way != "bytes"
]


@pytest.mark.parametrize(("driver", "case", "way"), PLAYED)
def test_transcript(driver: Driver, case: Case, way: str, home: QmailHome) -> None:
    play(case, way, driver, home)
