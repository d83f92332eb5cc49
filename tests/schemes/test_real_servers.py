"""Debian's own policy servers in the list: postgrey on a Unix socket, policyd-spf under tcpserver."""

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.sessions import KINDS, begin, rcpt, send, session
from tests.support import QmailHome, running, wait_for
from tests.ucspi import tcpserver

pytestmark = pytest.mark.parametrize("kind", KINDS)
POSTGREY = shutil.which("postgrey", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]) or "postgrey"


@contextmanager
def postgrey(home: QmailHome) -> Iterator[str]:
    """The path of its socket."""
    socket, database = home.path / "postgrey", home.path / "greylist"
    database.mkdir()
    me = pwd.getpwuid(os.geteuid()).pw_name
    argv = [POSTGREY, f"--unix={socket}", f"--dbdir={database}", "--delay=1", f"--user={me}", "--group=root"]
    with (home.path / "postgrey.log").open("wb") as log, running(argv, stdout=log, stderr=log):
        wait_for(socket.exists, what="postgrey")
        yield str(socket)


def test_postgrey_greylists_and_lets_pass(kind: str, home: QmailHome) -> None:
    with postgrey(home) as socket, session(kind, home, home.environment(SMTPEXTFORK=f"policy:unix:{socket}")) as talk:
        begin(talk, "stranger@example.net")
        first = rcpt(talk, "joe")
        assert first.startswith(b"450 4.2.0 ")
        assert b"reylisted" in first
        wait_for(lambda: rcpt(talk, "joe") == b"250 ok", what="the delay to be over")
        assert send(talk).startswith(b"250 ")
    assert home.messages()[0].message.startswith(b"X-Greylist: delayed ")


def test_policyd_spf_prepends_its_header(kind: str, home: QmailHome) -> None:
    config = home.path / "policyd-spf.conf"
    config.write_text("debugLevel = 0\nskip_addresses = 127.0.0.0/8\n")
    program = ["policyd-spf", str(config)]
    with tcpserver(program, {"PATH": os.environ["PATH"]}, home.path) as server:
        env = home.environment(SMTPEXTFORK=f"policy:inet:127.0.0.1:{server.port}", TCPREMOTEIP="127.0.0.1")
        with session(kind, home, env) as talk:
            begin(talk)
            assert rcpt(talk, "joe") == rcpt(talk, "jim") == b"250 ok"
            assert send(talk).startswith(b"250 ")
        assert sum("tcpserver: pid" in line for line in server.log()) == 1  # one connection for both
    assert b"SPF" in home.messages()[0].message.partition(b"Received: ")[0]
