"""`qmailfork report`: what it counts, and what a new user does wrong."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qmailfork.programs import events, jsonlines
from qmailfork.programs.journal import Event
from qmailfork.programs.outcome import EXITED, Outcome
from qmailfork.programs.verdict import Checker
from qmailfork.report.counters import ROOM, Times, Top
from tests.support import qmailfork

START = 1795500000
JOE, JACK, GREY, NEW = b"joe@joedomain.net", b"jack@joedomain.net", b"/bin/softfail", b"/bin/new"


def call(*words: str, given: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8", **variables}
    return subprocess.run(
        qmailfork("report", *words), env=environment, input=given, capture_output=True, check=False
    )  # fmt: skip


def line(second: int, number: int, event: Event, sender: bytes = b"john@foodomain.net") -> bytes:
    event.protocol, event.ip, event.host, event.helo, event.sender = b"ESMTP", b"203.0.113.7", b"mx", b"mx", sender
    return b"@%016x00000000 " % (START + second + 2**62 + 10) + jsonlines.line(number, event)


def check(program: bytes, code: int, milliseconds: float) -> tuple[Checker, Outcome]:
    return Checker(program), Outcome(EXITED, code, b"", milliseconds)


def day() -> bytes:
    """john is deferred, comes back, and comes again; a checker on trial objects to one of his and to all of spam's."""
    grey, passed = [check(GREY, 101, 5.0)], [check(GREY, 0, 25.0)]
    return b"".join((
        line(0, 1, events.checker_refused(JOE, GREY, b"Extfork_101", b"454 grey\r\n", grey)),
        line(60, 2, events.checker_refused(JOE, GREY, b"Extfork_101", b"454 grey\r\n", grey)),
        line(600, 3, events.recipient_accepted(JOE, False, passed)),
        line(4000, 4, events.shadowed(JACK, NEW, b"Extfork_100", b"554 no\r\n", passed)),
        line(4000, 4, events.recipient_accepted(JACK, False, passed)),
        line(4001, 5, events.shadowed(JOE, NEW, b"Extfork_100", b"554 no\r\n", passed), b"spam@bad.example"),
        line(4001, 5, events.recipient_accepted(JOE, False, passed), b"spam@bad.example"),
        line(4002, 6, events.no_gateway(b"x@elsewhere.example")),
        line(4003, 7, events.checker_refused(JACK, GREY, b"Extfork_101", b"454 grey\r\n", grey), b"gone@b.example"),
    ))  # fmt: skip


def told(*words: str, given: bytes = b"") -> dict[str, Any]:
    done = call("--json", *words, given=given)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def test_the_numbers() -> None:
    said = told(given=day())
    assert (said["accepted"], said["refused"], said["deferred"]) == (3, 1, 3)
    assert [hour["accepted"] for hour in said["hours"]] == [1, 2]
    (joe, elsewhere) = said["recipients"]["lines"]
    assert joe == {"name": "joedomain.net", "accepted": 3, "refused": 0, "deferred": 3}
    assert elsewhere["refused"] == 1
    assert said["networks"]["lines"][0]["name"] == "203.0.113.0/24"
    softfail = said["checkers"][0]
    assert (softfail["name"], softfail["deferred"], softfail["asked"]) == ("/bin/softfail", 3, 6)
    assert softfail["p50"] < 6
    assert 24 < softfail["p95"] <= softfail["slowest"] == 25.0
    (comeback,) = said["comebacks"]
    assert (comeback["deferred"], comeback["accepted"], comeback["retries"], comeback["missing"]) == (2, 1, 1, 1)
    assert 570 < comeback["p50"] <= 600
    assert said["shadows"] == [{"checker": "/bin/new", "refused": 2, "accepted": 2, "known": 1}]


def test_a_window_of_time() -> None:
    said = told("--since", "2026-11-24 07:06:00+00:00", "--until", "2026-11-24 07:06:42+00:00", given=day())
    assert (said["accepted"], said["refused"], said["lines"]["outside"]) == (2, 0, 5)


def test_sixty_columns_without_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(day())
    shown = call("--width", "60", f"{tmp_path}/log").stdout.decode()
    assert max(map(len, shown.splitlines())) <= 60
    assert "\x1b" not in shown
    assert "half of them within 10 min" in shown
    assert "▁" in shown or "█" in shown
    assert "█" not in call(f"{tmp_path}/log", PYTHONIOENCODING="ascii").stdout.decode("ascii")


def test_a_page(tmp_path: Path) -> None:
    assert call("--html", f"{tmp_path}/page.html", given=day()).stdout == b""
    assert "/<wbr>bin/<wbr>softfail" in (tmp_path / "page.html").read_text()
    done = call("--html", f"{tmp_path}/absent/page.html", given=day())
    assert (done.returncode, b"No such file" in done.stderr, b"Traceback" in done.stderr) == (2, True, False)


def test_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "rubbish").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "none").mkdir()
    (tmp_path / "cut").write_bytes(b"\x1f\x8b\x08\0\0\0")
    for words, status, sentence in (
        (("empty",), 0, "0 lines read, no recipient was decided on."),
        (("rubbish",), 0, "101 lines read, 100 broken, 1 without an end, no recipient was decided on."),
        (("none",), 111, "no log in this directory"),
        (("absent",), 111, "No such file or directory"),
        (("cut",), 111, "damaged or cut short"),
        (("cut", "empty", "rubbish"), 1, "damaged or cut short"),
        (("empty", "--since", "the day before"), 2, "is no time"),
    ):
        done = call(*(word if word.startswith(("--", "the")) else f"{tmp_path}/{word}" for word in words))
        assert done.returncode == status, done.stderr
        assert sentence in done.stdout.decode() + done.stderr.decode()
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("report",), ("report", "--json"), ("report", "--help"), ("--help",)])
def test_a_full_disk_behind_standard_output(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(day())
    with open("/dev/full", "wb") as full:
        argv = qmailfork(*words, f"{tmp_path}/log")
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b"qmailfork: fatal: standard output: No space left on device\n"
    assert done.returncode == 111


def test_without_standard_input() -> None:
    for words, status, said in (((), 2, b"name a log"), (("-",), 111, b"standard input: Bad file descriptor")):
        argv = ["sh", "-c", 'exec "$@" <&-', "sh", *qmailfork("report", *words)]
        done = subprocess.run(argv, capture_output=True, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (status, False), done.stderr
        assert said in done.stderr


def test_names_without_number_are_bounded() -> None:
    top = Top()
    for number in range(5 * ROOM):
        top.add(b"%d.example" % number, 1)
        if number % 10 == 0:
            top.add(b"often.example", 0)
    assert len(top.rows) <= ROOM
    name, row = top.ordered()[0]
    assert (name, row) == (b"often.example", [ROOM // 2, 0, 0])
    assert top.rest[1] + sum(one[1] for one in top.rows.values()) == 5 * ROOM


def test_percentiles() -> None:
    times = Times()
    assert times.percentile(50) is None
    for number in range(1, 1001):
        times.add(float(number))
    for percent in (50, 95, 99):
        assert abs(times.percentile(percent) / (percent * 10) - 1) < 0.06  # type: ignore[operator]
