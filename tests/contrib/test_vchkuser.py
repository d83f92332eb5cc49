"""vchkuser: what the sources' answers add up to, the domains in its charge, lists, bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cdblib
import pytest

from tests.mailsite import DEFER, PASS, PROGRAM, REFUSE, MailSite


@pytest.fixture
def site(tmp_path: Path) -> MailSite:
    """A site with a text list of addresses."""
    site = MailSite(tmp_path / "site")
    site.write("list", "# people\n#@example.org\njoe@example.org\nJane.Doe@Example.ORG away\n\n  \n@all.example.net\n")
    site.env["VCHKUSER_SOURCES"] = "text:list"
    return site


def test_known_passes_in_silence(site: MailSite) -> None:
    done = site.ask("joe@example.org")
    assert (done.returncode, done.stdout, done.stderr) == (PASS, b"", b"")


def test_unknown_is_refused_with_a_text_and_one_log_line(site: MailSite) -> None:
    done = site.ask("jim@example.org", REMOTEMF="spam@example.com")
    assert done.returncode == REFUSE
    assert done.stdout == b"sorry, no mailbox here by that name. (#5.1.1)\n"
    assert done.stderr.startswith(b"vchkuser: pid ")
    assert done.stderr.endswith(b" recipient=jim@example.org sender=spam@example.com exit=100 unknown recipient\n")


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("JOE@EXAMPLE.ORG", PASS),
        ("jane.doe@example.org", PASS),
        ("whoever@all.example.net", PASS),
        ("joe@sub.example.org", PASS),  # not in rcpthosts: not ours to judge
        ("joe@other.example.net", REFUSE),
        ("away@example.org", REFUSE),
        ("joe@example.org ", PASS),  # a domain with a blank is nobody's
        ("@example.org", REFUSE),
        ("#@example.org", REFUSE),
        ("joe", PASS),  # at envnoathost, mx.example.org, which rcpthosts has not
        (b"j\xf6e@example.org", REFUSE),
        ("j\u00f6e@example.org", REFUSE),
        ('"joe"@example.org', REFUSE),
        ("a" * 900 + "@example.org", REFUSE),
        ("joe\n@example.org", REFUSE),
        ("joe@elsewhere.example@example.org", REFUSE),
    ],
)
def test_text(site: MailSite, recipient: str, code: int) -> None:
    assert site.code(recipient) == code


def test_addresses_without_at_are_at_envnoathost(site: MailSite) -> None:
    site.control("envnoathost", "example.org")
    assert (site.code("joe"), site.code("jim")) == (PASS, REFUSE)


def test_cdb(site: MailSite) -> None:
    site.cdb("people.cdb", [(b"joe@example.org", b""), (b"@all.example.net", b"any value")])
    site.env["VCHKUSER_SOURCES"] = f"cdb:{site.home}/people.cdb"
    recipients = ["Joe@example.org", "x@all.example.net", "jim@example.org", "x@b.example.net"]
    assert [site.code(recipient) for recipient in recipients] == [PASS, PASS, REFUSE, REFUSE]


def test_cdb_made_by_tinycdb(site: MailSite) -> None:
    records = b"+15,1:joe@example.org->1\n\n"
    subprocess.run(["cdb", "-c", "-t", "-", "t.cdb"], cwd=site.home, input=records, check=True)
    codes = [site.code(f"{name}@example.org", VCHKUSER_SOURCES="cdb:t.cdb") for name in ("joe", "jim")]
    assert codes == [PASS, REFUSE]


@pytest.mark.parametrize(
    ("recipient", "breaks", "code"),
    [
        ("joe-list@example.org", "-", PASS),
        ("joe-list-owner@example.org", "-+", PASS),
        ("joe+x@example.org", "-+", PASS),
        ("joe+x@example.org", "-", REFUSE),
        ("joe-list@example.org", "", REFUSE),
        ("jim-list@example.org", "-", REFUSE),
        ("-joe@example.org", "-", REFUSE),
    ],
)
def test_extensions(site: MailSite, recipient: str, breaks: str, code: int) -> None:
    assert site.code(recipient, VCHKUSER_BREAK=breaks) == code


class TestSeveralSources:
    """A yes wins; else a trouble defers; else a no refuses; else nobody was asked and it passes."""

    @pytest.mark.parametrize(
        ("sources", "code"),
        [
            ("text:other,text:list", PASS),
            (" text:other , text:list ,", PASS),
            ("cdb:absent.cdb,text:list", PASS),
            ("text:list,cdb:absent.cdb", PASS),
            ("cdb:absent.cdb,text:other", DEFER),
            ("text:other,cdb:absent.cdb", DEFER),
            ("text:other,vpopmail", REFUSE),
            ("vpopmail,system", PASS),
        ],
    )
    def test_add_up(self, site: MailSite, sources: str, code: int) -> None:
        site.write("other", "someone@example.org\n")
        assert site.code("joe@example.org", VCHKUSER_SOURCES=sources) == code


class TestCharge:
    """Recipients outside the domains in charge pass, whatever the sources."""

    def test_morercpthosts(self, site: MailSite) -> None:
        site.cdb("control/morercpthosts.cdb", [(b"more.example", b""), (b".wild.example", b"")])
        recipients = ["x@More.example", "x@a.wild.example", "x@wild.example"]
        assert [site.code(recipient) for recipient in recipients] == [REFUSE, REFUSE, PASS]

    def test_domains_replace_rcpthosts(self, site: MailSite) -> None:
        site.write("domains", "# file\nfile.example\n")
        site.env["VCHKUSER_DOMAINS"] = "one.example, .two.example ./domains"
        recipients = ["x@one.example", "x@a.two.example", "x@file.example", "x@two.example", "x@example.org"]
        assert [site.code(recipient) for recipient in recipients] == [REFUSE] * 3 + [PASS] * 2

    def test_without_rcpthosts_what_is_delivered_here(self, site: MailSite) -> None:
        (site.home / "control/rcpthosts").unlink()
        site.control("locals", "local.example")
        site.control("virtualdomains", "virtual.example:v", "not.virtual.example:", ".virtual.example:v")
        here = ["x@local.example", "x@virtual.example", "x@a.virtual.example"]
        assert [site.code(recipient) for recipient in here] == [REFUSE] * 3
        assert [site.code(recipient) for recipient in ("x@not.virtual.example", "x@example.org")] == [PASS] * 2


class TestTrouble:
    """What does not work is named in one line, and the recipient deferred."""

    @pytest.mark.parametrize(
        ("env", "told"),
        [
            ({"VCHKUSER_SOURCES": "texd:list"}, "VCHKUSER_SOURCES: texd is none of vpopmail system text"),
            ({"VCHKUSER_SOURCES": "text"}, "VCHKUSER_SOURCES: text needs an argument"),
            ({"VCHKUSER_SOURCES": "vpopmail:x"}, "VCHKUSER_SOURCES: vpopmail takes no argument"),
            ({"VCHKUSER_SOURCES": "text:absent"}, "absent: No such file or directory"),
            ({"VCHKUSER_SOURCES": "text:control"}, "control: Is a directory"),
            ({"VCHKUSER_SOURCES": "cdb:absent"}, "absent: no such file"),
            ({"VCHKUSER_SOURCES": "cdb:empty"}, "empty: no cdb, or a broken one"),
            ({"VCHKUSER_SOURCES": "cdb:short"}, "short: no cdb, or a broken one"),
            ({"VCHKUSER_SOURCES": "cdb:broken"}, "broken: no cdb, or a broken one"),
            ({"VCHKUSER_SOURCES": "sql:mysql://u:secret@h/d", "VCHKUSER_SQL": "x"}, "sql needs sqlite:PATH"),
            ({"VCHKUSER_DOMAINS": "/absent/domains"}, "VCHKUSER_DOMAINS: no file /absent/domains"),
            ({"QMAILHOME": "/dev/null"}, "/dev/null/control/"),
        ],
    )
    def test_is_told_and_defers(self, site: MailSite, env: dict[str, str], told: str) -> None:
        site.write("empty")
        site.write("short", b"x" * 100)
        site.write("broken", b"joe@example.org" * 400)
        done = site.ask("joe@example.org", **env)
        assert (done.returncode, done.stderr.count(b"\n")) == (DEFER, 1), done.stderr
        assert told.encode() in done.stderr
        assert b"secret" not in done.stderr
        assert done.stdout.endswith(b"(#4.3.0)\n")

    @pytest.mark.parametrize("env", [{}, {"REMOTERCPT": ""}])
    def test_no_recipient(self, site: MailSite, env: dict[str, str]) -> None:
        done = site.ask(None, **env)
        assert done.returncode == DEFER
        assert b"REMOTERCPT is not set" in done.stderr

    def test_xf_onerror_lets_pass(self, site: MailSite) -> None:
        assert site.code("joe@example.org", VCHKUSER_SOURCES="cdb:absent", XF_ONERROR="pass") == PASS

    def test_no_octet_reaches_the_log_raw(self, site: MailSite) -> None:
        done = site.ask(b"a\x1b[2J\nvchkuser: pid 1 forged\xff@example.org", REMOTEMF="x\r\ny")
        assert done.stderr.count(b"\n") == 1
        assert all(32 <= octet < 127 for octet in done.stderr[:-1])


def test_a_file_source_loads_no_more_than_it_needs(site: MailSite) -> None:
    command = [sys.executable, "-X", "importtime", "-I", str(PROGRAM)]
    env = {**site.env, "REMOTERCPT": "joe@example.org"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    loaded = done.stderr[done.stderr.index("| site\n") :]
    assert "cdblib" in loaded
    for heavy in (
        "typing",
        "dataclasses",
        "logging",
        "email",
        "subprocess",
        "sqlite3",
        "smtplib",
        "socket",
        "re",
    ):
        assert f" {heavy}\n" not in loaded


@pytest.mark.parametrize(
    ("source", "package"), [("sql:postgresql://x@/y", "psycopg"), ("ldap:ldap://localhost", "ldap3"), ("text:list", "")]
)
def test_a_package_that_is_not_installed_is_named(site: MailSite, source: str, package: str) -> None:
    (site.home / "python").mkdir()
    (site.home / "python/cdblib").symlink_to(Path(cdblib.__file__).parent)
    code = f"import runpy, sys; sys.path.append('python'); runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    env = {**site.env, "REMOTERCPT": "joe@example.org", "VCHKUSER_SOURCES": source, "VCHKUSER_SQL": "SELECT 1"}
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, env=env, cwd=site.home, capture_output=True, text=True, check=False)
    assert done.returncode == (DEFER if package else PASS)
    assert f"needs the Python package {package}\n" in done.stderr or not package
