"""contrib/try as a postmaster runs it: with tcpserver and without, and when something is amiss."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def attempt(top, place, path=os.environ["PATH"]):
    """Run a clone's contrib/try with its temporary files in a place of ours."""
    (place / "temporary").mkdir()
    environment = {"PATH": path, "TMPDIR": str(place / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, top / "contrib" / "try"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def bare_path(place):
    """Return a PATH with Python, sh and env alone."""
    (place / "bin").mkdir()
    for name in ("sh", "env"):
        (place / "bin" / name).symlink_to(shutil.which(name))
    return str(place / "bin")


@pytest.mark.parametrize("tcpserver", [True, False])
def test_it_shows_an_accepted_a_refused_and_a_deferred_recipient(tmp_path, tcpserver):
    shown = attempt(TOP, tmp_path, os.environ["PATH"] if tcpserver else bare_path(tmp_path))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert ("under tcpserver" in shown.stdout) == tcpserver
    assert ("L: tcpserver: end" in shown.stdout) == tcpserver
    session = re.sub(r"pid \d+", "pid N", shown.stdout)
    fields = "P:ESMTP S:127.0.0.1:unknown H:mx.foodomain.net F:john@foodomain.net"
    for recipient, code, condition, reply in (
        ("joe", 0, "Accept::RCPT::Rcpthosts_Rcptto", "250 ok"),
        ("spam", 100, "Reject::RCPT::Extfork_100", "554 sorry, this mailbox takes no mail"),
        ("later", 101, "Reject::RCPT::Extfork_101", "454 sorry, temporary envelope failure due to local policy"),
    ):
        log = rf"L: qmail-smtpd: pid N {condition} {fields} T:{recipient}@joedomain.net( '\S+/checker')?"
        said = rf"C: RCPT TO:<{recipient}@joedomain.net>\nL: checker: exit {code}\n{log}\nS: {reply}\n"
        assert re.search(said, session)
    delivered = (
        r"S: 250 ok \d+ qp \d+\n[^|]*"
        r"    Return-Path: <john@foodomain.net>\n    Delivered-To: joe@joedomain.net\n    Received: .*\n"
        r"(?s:.*)    Subject: hello\n    \n    Hello Joe!\n"
    )
    assert re.search(delivered, shown.stdout)
    assert list((tmp_path / "temporary").iterdir()) == []


def clone(place):
    for directory in ("bin", "contrib", "qmailfork"):
        shutil.copytree(TOP / directory, place / "clone" / directory, symlinks=True)
    return place / "clone"


def test_a_queue_that_fails_is_told_and_nothing_is_left(tmp_path):
    top = clone(tmp_path)
    (top / "bin" / "qmailfork-queue").unlink()
    (top / "bin" / "qmailfork-queue").write_text("#!/bin/sh\nexit 53\n")
    (top / "bin" / "qmailfork-queue").chmod(0o755)
    shown = attempt(top, tmp_path)
    assert shown.returncode == 1
    assert shown.stderr == "contrib/try: expected '250 ok ' here\n"
    assert "S: 451 qq write error or disk full (#4.3.0)" in shown.stdout
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_server_that_does_not_start_is_told_with_its_words(tmp_path):
    top = clone(tmp_path)
    (top / "bin" / "qmailfork-smtpd").unlink()
    shown = attempt(top, tmp_path)
    assert shown.returncode == 1
    assert shown.stderr == "contrib/try: the server closed the connection\n"
    assert re.search(r"L: .*No such file or directory", shown.stdout)
