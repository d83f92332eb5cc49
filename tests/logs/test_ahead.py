"""Reading a log in a process of its own (logs/ahead.py)."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from qmailfork.logs.ahead import BATCH, WORTH, Ahead
from qmailfork.logs.files import Unreadable
from qmailfork.logs.jsonlines import Line
from qmailfork.logs.reader import Reader
from qmailfork.programs.journal import Event
from tests.faults import processes
from tests.support import alive, qmailfork

SPAMCONTROL = "qmail-smtpd: pid 7 Reject::RCPT::Extfork_100 P:ESMTP S:203.0.113.9:mx H:foo F:a@x.net T:joe@y.net '/c'"
JSON = json.dumps(
    {"event": "Accept::RCPT::Rcpthosts_Rcptto", "pid": 8, "ip": "203.0.113.7", "recipient": "joe@y.net", "sender": "",
     "checkers": [{"program": "c", "exit": 0, "ms": 1.5}, {"program": "/bin/d", "exit": 0, "ms": 1, "cached": True}]}
)  # fmt: skip
LDAP = "qmail-smtpd 9: connection from 203.0.113.5 (mx.example.net)"
LINES = [
    SPAMCONTROL,
    JSON,
    LDAP,
    "somebody else's",
    "tcpserver: deny 4 a:b:25 :1.2.3.4::5",
    "qmail-smtpd: pid nonsense",
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Several batches, and half a line."""
    file = tmp_path / "log"
    file.write_text("".join(f"{line}\n" for line in LINES * BATCH) + "half")
    return file


def gist(event: Event) -> tuple[object, ...]:
    asked = event.times() if isinstance(event, Line) else []
    return event.condition, event.info, event.reply, event.recipient, event.sender, event.ip, asked


def test_the_same_events_and_counts_as_without(log: Path) -> None:
    here, beside = Reader([str(log)]), Ahead(Reader([str(log)]))
    octets: list[int] = []
    beside.progress = octets.append
    expected = [(when, number, gist(event)) for when, number, event in here]
    assert [(when, number, gist(event)) for when, number, event in beside] == expected
    assert len(expected) >= 2 * BATCH
    assert vars(beside.counts) == vars(here.counts)
    assert sum(octets) == log.stat().st_size


def test_a_file_that_cannot_be_read_is_told_in_the_counts(log: Path, tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(b"\x1f\x8bnonsense")
    beside = Ahead(Reader([str(tmp_path / "log.gz"), str(log)]))
    assert sum(1 for _ in beside) >= 2 * BATCH
    assert "log.gz" in beside.counts.faults[0]


def test_a_reader_that_is_killed(log: Path) -> None:
    others = set(processes.children(os.getpid()))
    told = iter(Ahead(Reader([str(log)])))
    next(told)
    (child,) = set(processes.children(os.getpid())) - others
    os.kill(child, signal.SIGKILL)
    with pytest.raises(Unreadable, match="was ended"):
        for _ in told:
            pass
    assert not alive(child)


def test_who_stops_listening_leaves_no_process(log: Path) -> None:
    others = set(processes.children(os.getpid()))
    told = iter(Ahead(Reader([str(log)])))
    next(told)
    (child,) = set(processes.children(os.getpid())) - others
    told.close()  # type: ignore[attr-defined]  # it is a generator
    assert not alive(child)


def test_a_report_on_a_long_log(tmp_path: Path) -> None:
    number = WORTH // len(SPAMCONTROL) + 1
    (tmp_path / "log").write_text(f"{SPAMCONTROL}\n" * number)
    argv = qmailfork("report", "--json", str(tmp_path / "log"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["lines"]["events"] == number
