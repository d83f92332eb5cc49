"""The template: it works as it stands, in every form, and so does a copy of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import support
from tests.checkerforms import BARE, CHECKERS, forked, preloaded, resident
from tests.ucspi import tcpserver

TEMPLATE = CHECKERS / "template"
OUR = {"TEMPLATE_DOMAINS": "Example.org, example.net", "REMOTERCPT": "joe@example.org", "TCPREMOTEIP": "192.0.2.1"}
CASES = [
    ("boss@example.org", "", 100),
    ("Boss@EXAMPLE.NET", "", 100),
    ("boss@example.org", "refuse", 100),
    ("boss@example.org", "defer", 101),
    ("boss@example.org", "nonsense", 100),
    ("boss@sub.example.org", "", 0),
    ("someone@elsewhere.example", "", 0),
    ("example.org", "", 100),
    ("", "", 0),
    ("\u00e9\x1b[2J@\n", "", 0),
]


def env(sender: str, action: str) -> dict[str, str]:
    return {**OUR, "REMOTEMF": sender, "TEMPLATE_ACTION": action}


@pytest.mark.parametrize(("sender", "action", "code"), CASES)
def test_by_hand(sender: str, action: str, code: int) -> None:
    done = forked("template", env(sender, action))
    assert done.returncode == code
    assert bool(done.stdout) == bool(code)
    assert done.stderr.count("\n") == (code != 0) + (action == "nonsense")


def test_preloaded() -> None:
    with preloaded("template") as checker:
        codes = [checker.run(env(sender, action)).returncode for sender, action, _ in CASES]
    assert codes == [code for _, _, code in CASES]


def test_resident() -> None:
    with resident("template", OUR) as server:
        said = [server.ask(sender=sender) for sender in ("boss@example.org", "a@elsewhere.example", "")]
    refused = "554 5.7.1 sorry, mail from example.org is not sent from where you are. (#5.7.1)"
    assert said == [refused, "DUNNO", "DUNNO"]


def test_without_its_variable_nothing_is_refused() -> None:
    assert forked("template", {"REMOTEMF": "boss@example.org"}).returncode == 0


def test_help_is_the_manual() -> None:
    done = forked("template", {}, "--help")
    assert (done.returncode, done.stdout.startswith("template: a checker to copy")) == (0, True)
    for word in ("TEMPLATE_DOMAINS", "TEMPLATE_ACTION", "Exit codes", "Example"):
        assert word in done.stdout


def test_a_copy_under_another_name(tmp_path: Path) -> None:
    copy = tmp_path / "yours"
    shutil.copy(TEMPLATE, copy)
    copy.write_text(copy.read_text().replace("template", "yours").replace("TEMPLATE", "YOURS"))
    values = {**BARE, "YOURS_DOMAINS": "example.org", "REMOTEMF": "boss@example.org"}
    done = subprocess.run([sys.executable, copy], env=values, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("yours: pid ")) == (100, True)


def test_through_qmailfork_smtpd(home: support.QmailHome, tmp_path: Path) -> None:
    values = home.environment(SMTPEXTFORK=f"{sys.executable} {TEMPLATE}", TEMPLATE_DOMAINS="example.org")
    with tcpserver(support.smtpd(), values, tmp_path) as server, server.connect() as client:
        client.reply()
        for sender, code in (("boss@example.org", b"554"), ("boss@elsewhere.example", b"250")):
            client.command(f"MAIL FROM:<{sender}>")
            assert client.command("RCPT TO:<joe@joedomain.net>")[0][:3] == code
            client.command("RSET")
        assert "ip=127.0.0.1 sender=boss@example.org exit=100" in server.wait_log("template: pid")
