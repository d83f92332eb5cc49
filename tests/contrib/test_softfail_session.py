"""softfail in SMTP sessions: forked, preloaded and resident, behind qmailfork-smtpd under tcpserver and behind
qmailfork listen.
"""

from __future__ import annotations

import pathlib
import smtplib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.checkerforms import BARE, CHECKERS, resident
from tests.storeservers import free_port, redis

BIN = pathlib.Path(__file__).parents[2] / "bin"
SERVERS = {
    "tcpserver": ["tcpserver", "-1HRl0", "127.0.0.1", "0", sys.executable, "-I", "-S", str(BIN / "qmailfork-smtpd")],
    "listen": [sys.executable, "-I", str(BIN / "qmailfork"), "listen", "-1HR", "-l0", "127.0.0.1", "0"],
}
GREYLISTED = (454, b"sorry, temporary envelope failure due to local policy")


@pytest.fixture
def home(tmp_path: pathlib.Path) -> pathlib.Path:
    """A qmail home that takes mail for y.org."""
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("mx.y.org\n")
    (tmp_path / "control" / "rcpthosts").write_text("y.org\n")
    return tmp_path


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> list[str]:
    """The command of each server."""
    return SERVERS[request.param]


def session(command: list[str], env: dict[str, str], *recipients: str) -> Iterator[tuple[int, bytes]]:
    """Run the server for one session, and yield the reply to each recipient."""
    with subprocess.Popen(command, env={**BARE, **env}, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline()) if process.stdout else 0
            with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.x.org") as client:
                client.ehlo()
                client.mail("a@x.org")
                yield from [client.rcpt(recipient) for recipient in recipients]
        finally:
            process.terminate()


@pytest.mark.parametrize("start", [f"{sys.executable} ", "preload:"], ids=["forked", "preload"])
def test_started(start: str, server: list[str], home: pathlib.Path) -> None:
    env = {"QMAILHOME": str(home), "SOFTFAIL_STORE": f"sqlite:{home}/softfail.db", "SOFTFAIL_TIMEOUT": "60000"}
    env["SMTPEXTFORK"] = f"{start}{CHECKERS}/softfail"
    assert list(session(server, env, "b@y.org", "c@y.org")) == [GREYLISTED, GREYLISTED]
    replies = list(session(server, {**env, "UNBLOCK_AFTER_SEEN": "0"}, "b@y.org", "d@y.org"))
    assert [code for code, _ in replies] == [250, 454]


def test_resident(server: list[str], home: pathlib.Path) -> None:
    store = {"SOFTFAIL_STORE": f"sqlite:{home}/softfail.db", "SOFTFAIL_TIMEOUT": "60000"}
    with resident("softfail", {**store, "UNBLOCK_AFTER_SEEN": "0"}, f"unix:{home}/socket") as softfail:
        env = {"QMAILHOME": str(home), "SMTPEXTFORK": f"policy:unix:{home}/socket"}
        codes = [code for code, _ in session(server, env, "b@y.org", "b@y.org", "c@y.org")]
    assert codes[0] // 100 == 4
    assert codes[1] == 250
    assert codes[2] // 100 == 4
    assert softfail.log.count(" ip=127.0.0.1 client=127.0.0.0/24 ") == 3


def test_within_softlimit(home: pathlib.Path) -> None:
    """Its -m limits stacks, too, those of threads among them."""
    with redis(home) as store:
        env = {**BARE, "SOFTFAIL_STORE": store.address, "SOFTFAIL_TIMEOUT": "60000", "SOFTFAIL_DOWN": "pass"}
        env.update(TCPREMOTEIP="203.0.113.7", REMOTEMF="a@x.org", REMOTERCPT="b@y.org")
        argv = ["softlimit", "-m", "100000000", sys.executable, f"{CHECKERS}/softfail"]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 101, done.stderr
    assert " defer unknown " in done.stderr


def test_a_resident_by_name_within_softlimit(home: pathlib.Path) -> None:
    """asyncio looks names up in threads."""
    store = {"SOFTFAIL_STORE": f"sqlite:{home}/softfail.db", "SOFTFAIL_TIMEOUT": "60000"}
    port = free_port()
    with resident("softfail", store, f"inet:127.0.0.1:{port}"):
        env = {"QMAILHOME": str(home), "SMTPEXTFORK": f"policy:inet:localhost:{port}"}
        listen = [*SERVERS["listen"][:4], "--loop", "asyncio", *SERVERS["listen"][4:]]
        codes = [code for code, _ in session(["softlimit", "-m", "400000000", *listen], env, "b@y.org")]
    assert codes[0] // 100 == 4
