"""vchkuser in each of its forms: forked by qmailfork-smtpd, imported once, resident; its manual."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests import support
from tests.checkerforms import CHECKERS, forked, preloaded, resident
from tests.mailsite import PASS, PROGRAM, REFUSE, MailSite
from tests.ucspi import listening, tcpserver

MAN = CHECKERS.parents[1] / "man" / "vchkuser.8"
NO = "sorry, no mailbox here by that name. (#5.1.1)"


@pytest.fixture
def site(tmp_path: Path) -> MailSite:
    """A site with a text list of addresses."""
    site = MailSite(tmp_path / "site")
    site.write("list", "joe@example.org\n")
    site.env["VCHKUSER_SOURCES"] = "text:list"
    return site


def test_through_qmailfork_smtpd(site: MailSite, tmp_path: Path, home: support.QmailHome) -> None:
    home.control(rcpthosts="example.org\n")
    (home.path / "list").write_text("joe@example.org\n")
    rules = f':allow,SMTPEXTFORK="{sys.executable} {PROGRAM}",VCHKUSER_SOURCES="text:list"\n'
    with tcpserver(support.smtpd(), home.environment(), tmp_path, rules=rules) as server, server.connect() as client:
        client.reply()
        client.command("MAIL FROM:<a@elsewhere.example>")
        assert client.command("RCPT TO:<jim@example.org>")[0].startswith(b"554 ")
        assert client.command("RCPT TO:<joe@example.org>") == [b"250 ok"]
        assert "exit=100 unknown recipient" in server.wait_log("recipient=jim@example.org")


@pytest.mark.parametrize("start", [f"{sys.executable} ", "preload:"], ids=["forked", "preload"])
def test_through_the_listener(start: str, home: support.QmailHome) -> None:
    home.control(rcpthosts="example.org\n")
    (home.path / "list").write_text("joe@example.org\n")
    env = {**home.environment(), "SMTPEXTFORK": f"{start}{PROGRAM}", "VCHKUSER_SOURCES": "text:list"}
    argv = support.qmailfork("listen", "-1", "-H", "-R", "-l0", "--workers", "1", "127.0.0.1", "0")
    with listening(argv, env, home.path / "log", "127.0.0.1") as server, server.connect() as client:
        client.reply()
        client.command("MAIL FROM:<a@elsewhere.example>")
        assert client.command("RCPT TO:<jim@example.org>")[0].startswith(b"554 ")
        assert client.command("RCPT TO:<joe@example.org>") == [b"250 ok"]
        assert "exit=100 unknown recipient" in server.wait_log("recipient=jim@example.org")


def test_preloaded(site: MailSite) -> None:
    envs = [{**site.env, "REMOTERCPT": f"{name}@example.org"} for name in ("joe", "jim", "joe")]
    with preloaded("vchkuser") as checker:
        done = [checker.run(env) for env in envs]
    assert [one.returncode for one in done] == [PASS, REFUSE, PASS]
    assert [one.stderr.count("\n") for one in done] == [0, 1, 0]


def test_resident_sees_every_change(site: MailSite) -> None:
    with resident("vchkuser", site.env) as server:
        assert server.ask(recipient="joe@example.org") == "DUNNO"
        assert server.ask(recipient="jim@example.org") == f"554 5.7.1 {NO}"
        site.write("list", "jim@example.org\n")
        assert server.ask(recipient="jim@example.org") == "DUNNO"
        (site.home / "list").unlink()
        assert server.ask(recipient="jim@example.org").startswith("450 4.7.1 sorry, I can't find out")


def test_both_manuals_name_every_variable(site: MailSite) -> None:
    package = CHECKERS.parent / "xfvchkuser"
    code = "".join(path.read_text() for path in package.glob("*.py"))
    names = set(re.findall(r'"(VCHKUSER_[A-Z_]+)"', code)) | {"QMAILHOME", "XF_ONERROR"}
    shown = forked("vchkuser", {}, "--help").stdout
    assert len(names) > 12
    for manual in (shown, MAN.read_text()):
        assert [name for name in sorted(names) if name not in manual] == []
        assert re.findall(r"\b(100|101|111)\b", manual)


def test_the_manuals_examples_work(site: MailSite) -> None:
    """The command by hand, and its answer as vchkuser(8) shows it."""
    done = site.ask("jim@example.org")
    assert done.stdout.decode() == NO + "\n"
    shown = MAN.read_text()
    assert NO in shown
    assert re.sub(r"pid \d+", "pid 4711", done.stderr.decode()) in shown
