"""dnsbl and xf-spf where they are meant to run: after a RCPT, under tcpserver and under the warm listener; forked, and
kept imported by the listener.
"""

import contextlib
import os
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkerforms import CHECKERS
from tests.nameserver import serving

BIN = Path(__file__).resolve().parents[2] / "bin"
PYTHON = [sys.executable, "-I", "-S"]
COLD = ["tcpserver", "-1HRl0", "127.0.0.1", "0", *PYTHON, str(BIN / "qmailfork-smtpd")]
WARM = [*PYTHON, str(BIN / "qmailfork"), "listen", "-1HRl0", "127.0.0.1", "0"]
ZONE = {
    "1.0.0.127.bl.test": [("A", "127.0.0.2"), ("TXT", b"a reason")],
    "1.0.0.127.white.test": [("A", "127.0.0.2")],
    "pass.test": [("TXT", b"v=spf1 ip4:127.0.0.1 -all")],
    "fail.test": [("TXT", b"v=spf1 -all")],
    "servfail.test": [("SERVFAIL", None)],
}


@contextlib.contextmanager
def server(argv, home, **env):
    """Run an SMTP server with these variables; yield its port."""
    (home / "control").mkdir(exist_ok=True)
    for name in ("me", "rcpthosts"):
        (home / "control" / name).write_text("here.example\n")
    path = f"{sys.prefix}/bin:{os.environ['PATH']}"
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(
            argv, env={"PATH": path, "QMAILHOME": str(home), **env}, cwd=home, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def rcpt(port, sender):
    """Return the code that a recipient gets from a sender."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo("helo.example")
        client.mail(sender)
        return client.rcpt("joe@here.example")[0]


@pytest.fixture(scope="module")
def nameserver():
    with serving(ZONE) as running:
        yield running


@pytest.mark.parametrize("argv", [COLD, WARM], ids=["tcpserver", "listen"])
@pytest.mark.parametrize("scheme", ["", "preload:"], ids=["forked", "preload"])
def test_the_exit_code_is_the_reply(argv, scheme, nameserver, tmp_path):
    settings = {
        "SMTPEXTFORK": f"{scheme}{CHECKERS}/dnsbl, {scheme}{CHECKERS}/xf-spf",
        "XF_NAMESERVER": nameserver.address,
        "SPFBEHAVIOR": "3",
        "DNSBL": "bl.test",
        "DNSWL": "white.test",
    }
    with server(argv, tmp_path, **settings) as port:
        assert rcpt(port, "a@pass.test") == 250
        assert rcpt(port, "a@fail.test") == 554
        assert rcpt(port, "a@servfail.test") == 454
        assert rcpt(port, "") == 250
    with server(argv, tmp_path, **{**settings, "DNSWL": ""}) as port:
        assert rcpt(port, "a@pass.test") == 554
