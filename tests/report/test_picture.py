"""The report's picture: what is on it, that nothing lies on anything else, and what becomes of the file."""

import io
import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.text import Text
from PIL import Image

from qmailfork.logs.reader import Counts
from qmailfork.programs import events
from qmailfork.programs.outcome import EXITED, Outcome
from qmailfork.programs.verdict import Checker
from qmailfork.report import picture, summary
from qmailfork.report.cards import COLOURS
from qmailfork.report.sheet import DENSITY, Sheet
from qmailfork.report.tally import Tally
from tests.reports import START, report
from tests.support import qmailfork


@cache
def empty() -> summary.Summary:
    return summary.of(Tally({}), Counts(), 10)


@cache
def one() -> summary.Summary:
    tally, counts = Tally({}), Counts()
    tally.add(START, 1, events.recipient_accepted(b"joe@joedomain.net", False, []))
    counts.lines = 1
    return summary.of(tally, counts, 10)


@cache
def ugly() -> summary.Summary:
    """Forty slow checkers with long names, and a thousand networks and domains with longer ones."""
    tally, counts = Tally({}), Counts()
    for number in range(4000):
        program = b"/usr/local/libexec/checkers/of-the-whole-department/%d" % (number % 40)
        checks = [(Checker(program), Outcome(EXITED, 101, b"", number * 10.0))]
        recipient = b"joe@" + b"a-very-long-label." * (number % 12) + b"%d.example" % (number % 1000)
        for event in (
            events.checker_refused(recipient, program, b"Extfork_101", b"454 no\r\n", checks),
            events.shadowed(recipient, program, b"Extfork_100", b"554 no\r\n", []),
            events.checker_failed(recipient, program, b"Extfork_Timeout", []),
            events.recipient_accepted(recipient, False, checks),
        ):
            event.ip = b"2001:db8:%x::1" % (number % 1000)
            event.sender = b"x@$\\frac{" + "münchen.例え".encode() + b"%d" % (number % 1000)
            tally.add(START + number * 5000, number, event)
    counts.lines, counts.broken = 12_345_678_901, 1234
    counts.faults = [f"/var/log/{'x' * 300}/@{number}.s: damaged or cut short" for number in range(20)]
    return summary.of(tally, counts, 1000)


CASES = [empty, one, report, ugly]


def image(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def colours(picture: Image.Image) -> dict[str, int]:
    """How many dots have each colour."""
    found = picture.getcolors(1 << 24)
    assert found
    return {f"#{bytes(colour).hex()}": count for count, colour in found}  # type: ignore[arg-type]


@cache
def drawn(case: Callable[[], summary.Summary]) -> tuple[Sheet, bytes]:
    """The sheet, and the picture."""
    sheet = picture.draw(case())
    return sheet, sheet.png("")


def words(case: Callable[[], summary.Summary]) -> list[str]:
    return [text.get_text() for text in drawn(case)[0].figure.findobj(Text)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", CASES)
def test_no_word_lies_on_another_or_leaves_the_sheet(case: Callable[[], summary.Summary]) -> None:
    sheet, _ = drawn(case)
    placed = [(text.get_text(), text.get_window_extent()) for text in sheet.figure.findobj(Text) if text.get_text()]  # type: ignore[attr-defined]
    width, height = sheet.figure.get_size_inches() * sheet.figure.dpi
    for said, box in placed:
        assert 0 < box.x0 < box.x1 < width, said
        assert 0 < box.y0 < box.y1 < height, said
    for (said, box), (other, there) in combinations(placed, 2):
        assert not (box.x0 < there.x1 and there.x0 < box.x1 and box.y0 < there.y1 and there.y0 < box.y1), (said, other)


@pytest.mark.parametrize("case", CASES)
def test_it_is_as_large_as_can_be_shown(case: Callable[[], summary.Summary]) -> None:
    shown = image(drawn(case)[1])
    assert shown.width == picture.WIDTH * DENSITY
    assert shown.height < 3 * shown.width
    assert shown.getpixel((0, 0)) == (0xF5, 0xF6, 0xF8)


def test_the_numbers_are_there() -> None:
    said = words(report)
    assert said.count("72") >= 8
    assert "50 % of 144" in said
    assert "1,000 in all" in words(ugly)


def test_what_has_no_room_is_summed_up() -> None:
    said = words(ugly)
    at = said.index("all others")
    shown = [int(number.replace(",", "")) for number in said[at - 4 * picture.NAMES + 1 : at : 4]]
    assert sum(shown) + int(said[at + 1].replace(",", "")) == 4000
    assert f"and {40 - picture.SENTENCES} more" in said


def test_bars_are_as_long_as_the_numbers_say() -> None:
    dots = colours(image(drawn(report)[1]))
    assert COLOURS["refused"] in dots  # its tile's edge and its sign in the legend
    assert 0.9 < dots[COLOURS["accepted"]] / dots[COLOURS["deferred"]] < 1.1
    assert dots[COLOURS["accepted"]] > 4 * dots[COLOURS["refused"]]


def test_other_numbers_are_another_picture() -> None:
    assert picture.png(one()) == picture.png(one())
    assert len({drawn(case)[1] for case in CASES}) == len(CASES)


LINE = b"@400000006b04b0000000000a " + (
    b"qmail-smtpd: pid 1 Reject::SNDR::Invalid_Relay P:ESMTP S:203.0.113.7:mx H:mx F:a@a.example T:b@bar.example 'b'\n"
)


def call(*options: str, log: str = "-", **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **variables}
    argv = qmailfork("report", *options, log)
    return subprocess.run(argv, env=environment, input=LINE, capture_output=True, check=False)


def test_a_file_and_not_a_word(tmp_path: Path) -> None:
    done = call("--png", f"{tmp_path}/a.png", HOME="/dev/null/home", MPLBACKEND="nonsense")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    dots = colours(image((tmp_path / "a.png").read_bytes()))
    assert dots[COLOURS["refused"]] > dots[COLOURS["accepted"]]


def test_page_picture_and_numbers_from_one_reading(tmp_path: Path) -> None:
    done = call("--png", f"{tmp_path}/a.png", "--html", f"{tmp_path}/a.html", "--json")
    assert json.loads(done.stdout)["refused"] == 1
    assert sorted(os.listdir(tmp_path)) == ["a.html", "a.png"]
    assert "100 % of 1" in (tmp_path / "a.html").read_text()


def test_down_a_pipe() -> None:
    assert image(call("--png", "/dev/stdout").stdout).width == picture.WIDTH * DENSITY


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("absent/a.png", "No such file or directory"),
        ("file/a.png", "Not a directory"),
        ("x" * 254, "File name too long"),
        ("/dev/full", "No space left on device"),
    ],
)
@pytest.mark.parametrize("option", ["--png", "--html"])
def test_a_path_that_cannot_be_written_is_named(tmp_path: Path, option: str, path: str, why: str) -> None:
    (tmp_path / "file").touch()
    done = call(option, str(tmp_path / path))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"qmailfork report: {option}: {tmp_path / path}: {why}\n"
    assert os.listdir(tmp_path) == ["file"]


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    there = tmp_path / "a.png"
    there.write_bytes(b"old")
    there.chmod(0o640)
    (tmp_path / "link").symlink_to("a.png")
    (tmp_path / "none").mkdir()
    assert call("--png", str(there), log=f"{tmp_path}/none").returncode == 111
    assert there.read_bytes() == b"old"
    assert call("--png", f"{tmp_path}/link").returncode == 0
    assert image(there.read_bytes()).width == picture.WIDTH * DENSITY
    assert (there.stat().st_mode & 0o777, (tmp_path / "link").is_symlink()) == (0o640, True)
    assert sorted(os.listdir(tmp_path)) == ["a.png", "link", "none"]


@pytest.mark.parametrize("option", ["--png", "--html"])
def test_a_log_that_cannot_be_read_replaces_nothing(tmp_path: Path, option: str) -> None:
    there = tmp_path / "old"
    there.write_bytes(b"old")
    done = call(option, str(there), log=f"{tmp_path}/absent")
    assert (done.returncode, done.stdout) == (111, b"")
    assert done.stderr.decode() == f"qmailfork report: {tmp_path}/absent: No such file or directory\n"
    assert (there.read_bytes(), os.listdir(tmp_path)) == (b"old", ["old"])
