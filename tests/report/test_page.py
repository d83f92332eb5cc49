"""The report's page: what it holds, what it must not hold, and how a real browser shows it."""

import re
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from qmailfork.logs.reader import Counts
from qmailfork.report import page, summary
from qmailfork.report.tally import Tally
from tests.reports import report


def test_nothing_of_a_log_is_taken_for_the_page() -> None:
    written = page.page(report())
    assert "<script" not in written
    assert written.count("&lt;script&gt;") >= 6


def test_it_needs_nothing_from_outside() -> None:
    written = page.page(report())
    assert not re.search(r"https?:|src=|url\(|@import|<link|href", written)


def test_the_numbers_are_there() -> None:
    written = page.page(report())
    assert written.count("<g><title>") == 72
    assert "1 accepted, 1 deferred, 0 refused</title>" in written
    assert "50 % of 144" in written


def test_an_empty_log_has_a_page() -> None:
    empty = summary.of(Tally({}), Counts(), 10)
    assert "no recipient was decided on" in page.page(empty)
    assert "<svg" not in page.page(replace(empty, faults=["x"]))


@pytest.mark.parametrize(("scheme", "ground"), [(1, (0xF5, 0xF6, 0xF8)), (0, (0x11, 0x15, 0x1C))])
@pytest.mark.parametrize("size", ["1200,1600", "500,1600"])
def test_a_browser_shows_it_light_and_dark(tmp_path: Path, size: str, scheme: int, ground: tuple[int, ...]) -> None:
    (tmp_path / "page.html").write_text(page.page(report()))
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/chromium",
         f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={size}", "--hide-scrollbars",
         f"--screenshot={tmp_path}/page.png", f"file://{tmp_path}/page.html"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert first_pixel((tmp_path / "page.png").read_bytes()) == ground


def first_pixel(png: bytes) -> tuple[int, ...]:
    """The first pixel of a screenshot, which is written as it is, whatever the filter (PNG section 9)."""
    data, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return tuple(zlib.decompress(data)[1:4])
