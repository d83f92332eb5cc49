"""`qmailfork top`, at a real listener: once, in JSON, and in a real terminal of 60 columns."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import PATIENCE, QmailHome, qmailfork, wait_for
from tests.ucspi import Server
from tests.warm import NO_NAMES, send_message, warm

ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8"}


@pytest.fixture
def server(home: QmailHome) -> Iterator[Server]:
    where = f"unix:{home.path}/metrics"
    with warm(home, *NO_NAMES, "--workers", "2", "--metrics", where, SMTPEXTFORK="fakes/exit 7") as server:
        with server.connect() as client:
            send_message(client)
            client.command("QUIT")
            client.rest()
        wait_for(lambda: call("--json", where).returncode == 0, what="the reporter")
        yield server


def call(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    argv = qmailfork("top", *words)
    return subprocess.run(argv, env=ENVIRONMENT | more, capture_output=True, text=True, check=False)


def test_in_json(home: QmailHome, server: Server) -> None:
    told = json.loads(call("--json", f"{home.path}/metrics").stdout)
    assert told["sessions"] == {"open": 0, "limit": 40, "total": 1}
    assert told["recipients"] == {"accepted": 1, "refused": 0, "deferred": 0}
    assert told["replies"]["354"] == 1
    assert told["checkers"]["fakes/exit"]["ends"] == {"7": 1}
    assert told["checkers"]["fakes/exit"]["p99"] > 0
    assert told["queue"]["runs"] == 1


def test_once_in_sixty_columns(home: QmailHome, server: Server) -> None:
    done = call("--once", f"unix:{home.path}/metrics", COLUMNS="60")
    assert "sessions 0 of 40, 1 since the start" in done.stdout
    assert "7: 1" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert "\x1b" not in done.stdout


def test_live_until_interrupted(home: QmailHome, server: Server) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        argv = qmailfork("top", "--every", "0.1", f"unix:{home.path}/metrics")
        os.execve(argv[0], argv, ENVIRONMENT)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    seen = b""
    while b"/s" not in seen:  # a second look
        seen += os.read(terminal, 65536)
    os.kill(pid, signal.SIGINT)
    try:
        while block := os.read(terminal, 65536):
            seen += block
    except OSError:  # the terminal's end, on Linux
        pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"Traceback" not in seen
    assert b"\x1b[?1049l" in seen  # back from the alternate screen
    assert b"\x1b[?25h" in seen  # with its cursor


def test_without_a_terminal_it_says_what_to_do(home: QmailHome) -> None:
    done = call(f"unix:{home.path}/metrics")
    assert done.returncode == 100
    assert done.stderr == (
        "qmailfork: usage: standard output is no terminal: --once or --json prints the numbers once\n"
    )


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("unix:/absent", "/absent: No such file or directory"),
        ("nowhere", "nowhere: neither unix:PATH nor HOST:PORT"),
        ("unix:", "unix:: neither unix:PATH nor HOST:PORT"),
        ("127.0.0.1:65561", "127.0.0.1 65561: no such port"),  # 25, to the C library
    ],
)
def test_nobody_there(where: str, why: str) -> None:
    done = call("--json", where)
    assert (done.returncode, done.stdout) == (111, "")
    assert done.stderr == f"qmailfork: fatal: {'unix:' if 'absent' in where else ''}{why}\n"


def test_somebody_else_there(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("up 1\n")
    argv = ["python3", "-u", "-m", "http.server", "-b", "127.0.0.1", "-d", str(tmp_path), "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:
        assert other.stdout
        port = other.stdout.readline().split(" port ")[1].split()[0]
        done = call("--once", f"127.0.0.1:{port}")
        other.kill()
        other.wait(PATIENCE)
    assert done.stderr == f"qmailfork: fatal: 127.0.0.1:{port}: not the metrics of qmailfork listen\n"
