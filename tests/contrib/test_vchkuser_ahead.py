"""vchkuser's call ahead to a next hop, and the cache of what next hops have answered."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from tests import support
from tests.mailsite import DEFER, PASS, PROGRAM, REFUSE, MailSite
from tests.ucspi import Server, tcpserver

JOE = "RCPT TO:<joe@example.org>=250 ok"


class Hop:
    """A next hop's address, and what it was told."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log

    def told(self) -> list[str]:
        """Return the commands so far."""
        return self.log.read_bytes().decode("latin-1").split("\r\n")[:-1] if self.log.exists() else []

    def asked(self) -> list[str]:
        """Return the recipients so far."""
        return [line.removeprefix("RCPT TO:") for line in self.told() if line.startswith("RCPT")]


@contextlib.contextmanager
def hop(directory: Path, *rules: str) -> Iterator[Hop]:
    """Run the fake next hop under tcpserver."""
    directory.mkdir(exist_ok=True)
    log = directory / "commands"
    program = [*support.PYTHON, str(support.FAKES / "hop"), str(log), *rules]
    with tcpserver(program, {"PATH": "/usr/bin:/bin"}, directory) as server:
        yield Hop(server.port, log)


@pytest.fixture
def site(tmp_path: Path) -> MailSite:
    """A site that hands everything on."""
    return MailSite(tmp_path / "site")


@pytest.fixture
def next_hop(tmp_path: Path) -> Iterator[Hop]:
    """A next hop that knows joe, and the site's route to it."""
    with hop(tmp_path / "hop", JOE, "RCPT=550 5.1.1 no such user") as running:
        yield running


@pytest.fixture
def routed(site: MailSite, next_hop: Hop) -> MailSite:
    """A site that asks the next hop about everybody."""
    site.env["VCHKUSER_SOURCES"] = f"ahead:127.0.0.1:{next_hop.port}"
    return site


def test_asks_with_the_null_sender_and_never_sends(routed: MailSite, next_hop: Hop) -> None:
    assert [routed.code("joe@example.org"), routed.code("jim@example.org")] == [PASS, REFUSE]
    conversation = ["EHLO mx.example.org", "MAIL FROM:<>", "RCPT TO:<{}@example.org>", "QUIT"]
    expected = [line.format(name) for name in ("joe", "jim") for line in conversation]
    assert [line.replace("ehlo", "EHLO") for line in next_hop.told()] == expected


def test_helo_name(routed: MailSite, next_hop: Hop) -> None:
    routed.control("helohost", "out.example.org")
    assert routed.code("joe@example.org") == PASS
    assert next_hop.told()[0].split() == ["ehlo", "out.example.org"]


@pytest.mark.parametrize(
    ("recipient", "path"),
    [
        ("Joe.Doe+x@Example.org", "<Joe.Doe+x@example.org>"),
        ("a b@example.org", '<"a b"@example.org>'),
        ('a"b\\c@example.org', '<"a\\"b\\\\c"@example.org>'),
        (".a@example.org", '<".a"@example.org>'),
        ("@example.org", '<""@example.org>'),
        ("a@b@example.org", '<"a@b"@example.org>'),
        (b"j\xf6@example.org", "<j\xf6@example.org>"),
        ("a>b@example.org", '<"a>b"@example.org>'),
    ],
)
def test_addresses_are_quoted(routed: MailSite, next_hop: Hop, recipient: str, path: str) -> None:
    assert routed.code(recipient) == REFUSE
    assert next_hop.asked() == [path]


@pytest.mark.parametrize("local", ["a\r\nRSET\r\n", "a\nDATA", "a\x01b", "a\x7fb", "a\rb"])
def test_control_characters_are_nobodys(routed: MailSite, next_hop: Hop, local: str) -> None:
    assert routed.code(f"{local}@example.org") == REFUSE
    assert next_hop.told() == []


class TestRoutes:
    """smtproutes as qmail-remote reads it; what is delivered here is not asked about."""

    def test_smtproutes(self, site: MailSite, next_hop: Hop) -> None:
        site.env["VCHKUSER_SOURCES"] = "ahead"
        here = f"127.0.0.1:{next_hop.port}"
        site.control("smtproutes", f"Example.org:{here}", f".example.net:[127.0.0.1]:{next_hop.port}", "b.example.net:")
        recipients = ["joe@example.org", "jim@example.org", "jim@a.example.net", "jim@b.example.net"]
        assert [site.code(recipient) for recipient in recipients] == [PASS, REFUSE, REFUSE, PASS]
        assert next_hop.asked() == ["<joe@example.org>", "<jim@example.org>", "<jim@a.example.net>"]

    def test_a_route_for_everything(self, site: MailSite, next_hop: Hop) -> None:
        site.control("smtproutes", f":127.0.0.1:{next_hop.port} user password")
        assert site.code("jim@example.org", VCHKUSER_SOURCES="ahead") == REFUSE

    def test_no_route_no_question(self, site: MailSite) -> None:
        assert site.code("jim@example.org", VCHKUSER_SOURCES="ahead") == PASS

    def test_domains_delivered_here(self, routed: MailSite, next_hop: Hop) -> None:
        routed.control("locals", "example.org")
        routed.control("virtualdomains", "v.example.net:v")
        assert [routed.code("x@example.org"), routed.code("x@v.example.net")] == [PASS, PASS]
        assert next_hop.told() == []

    def test_ipv6(self, routed: MailSite) -> None:
        done = routed.ask("joe@example.org", VCHKUSER_SOURCES="ahead:[::1]:1")
        assert (done.returncode, b"ahead: [::1]:1: " in done.stderr) == (DEFER, True)

    @pytest.mark.parametrize("where", ["host:x", "host:0", "host:70000", "x[::1]", "host:", "[::1]:x", ":25"])
    def test_wrong_addresses(self, routed: MailSite, where: str) -> None:
        done = routed.ask("joe@example.org", VCHKUSER_SOURCES=f"ahead:{where}")
        assert (done.returncode, done.stderr.count(b"\n")) == (DEFER, 1)
        assert f"ahead: {where} is no HOST[:PORT]".encode() in done.stderr


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("RCPT=250 ok", PASS),
        ("RCPT=251 will forward", PASS),
        ("RCPT=250-yes\\n250 ok", PASS),
        ("RCPT=550 no", REFUSE),
        ("RCPT=551 not here", REFUSE),
        ("RCPT=553 no", REFUSE),
        ("RCPT=554 no", REFUSE),
        ("RCPT=556 takes no mail", REFUSE),
        ("RCPT=552 full", DEFER),
        ("RCPT=450 later", DEFER),
        ("RCPT=421 going down", DEFER),
        ("RCPT=503 first MAIL", DEFER),
        ("RCPT=530 TLS first", DEFER),
        ("RCPT=nonsense", DEFER),
        ("RCPT=close", DEFER),
        ("MAIL=550 no null senders here", DEFER),
        ("GREETING=554 no", DEFER),
        ("GREETING=close", DEFER),
        ("EHLO=502 what?", PASS),
        ("QUIT=close", PASS),
    ],
)
def test_replies(site: MailSite, tmp_path: Path, rule: str, code: int) -> None:
    with hop(tmp_path / "hop", rule) as running:
        done = site.ask("joe@example.org", VCHKUSER_SOURCES=f"ahead:127.0.0.1:{running.port}")
    assert done.returncode == code, done.stderr
    assert done.stderr.count(b"\n") == (code != PASS)
    assert b"internal error" not in done.stderr


@pytest.mark.parametrize("rule", ["GREETING=hang", "RCPT=hang", "EHLO=drip", "RCPT=drip"])
def test_a_slow_hop_is_left(site: MailSite, tmp_path: Path, rule: str) -> None:
    with hop(tmp_path / "hop", rule) as running:
        env = {"VCHKUSER_SOURCES": f"ahead:127.0.0.1:{running.port}", "VCHKUSER_TIMEOUT": "1"}
        assert site.code("joe@example.org", **env) == DEFER


def test_nobody_listens(site: MailSite) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        assert site.code("joe@example.org", VCHKUSER_SOURCES=f"ahead:127.0.0.1:{bound.getsockname()[1]}") == DEFER


class TestCache:
    """Answers outlive the process; a broken cache costs a log line, never an answer."""

    @pytest.fixture
    def cached(self, routed: MailSite) -> MailSite:
        routed.env["VCHKUSER_CACHE"] = "cache.db"
        return routed

    def test_asks_once(self, cached: MailSite, next_hop: Hop) -> None:
        recipients = ["joe@example.org", "jim@example.org"] * 2
        assert [cached.code(recipient) for recipient in recipients] == [PASS, REFUSE] * 2
        assert next_hop.asked() == ["<joe@example.org>", "<jim@example.org>"]

    def test_hops_are_kept_apart(self, cached: MailSite, tmp_path: Path) -> None:
        assert cached.code("jim@example.org") == REFUSE
        with hop(tmp_path / "other") as other:
            assert cached.code("jim@example.org", VCHKUSER_SOURCES=f"ahead:127.0.0.1:{other.port}") == PASS

    def test_ages(self, cached: MailSite, next_hop: Hop) -> None:
        env = {"VCHKUSER_CACHE_YES": "0", "VCHKUSER_CACHE_NO": "0"}
        for recipient in ["joe@example.org", "jim@example.org"] * 2:
            cached.code(recipient, **env)
        assert len(next_hop.asked()) == 4

    def test_what_is_too_old_is_dropped(self, cached: MailSite) -> None:
        env = {"VCHKUSER_CACHE_YES": "0", "VCHKUSER_CACHE_NO": "0", "VCHKUSER_CACHE_STALE": "0"}
        for name in ("joe", "a", "b", "c"):
            cached.code(f"{name}@example.org", **env)
        with closing(sqlite3.connect(cached.home / "cache.db")) as connection:
            assert connection.execute("SELECT count(*) FROM answers").fetchone() == (1,)

    def test_trouble_is_not_kept(self, cached: MailSite, tmp_path: Path) -> None:
        with hop(tmp_path / "other", "RCPT=450 later") as other:
            source = f"ahead:127.0.0.1:{other.port}"
            assert [cached.code("joe@example.org", VCHKUSER_SOURCES=source) for _ in range(2)] == [DEFER] * 2
            assert len(other.asked()) == 2

    def test_a_known_recipient_passes_while_the_hop_is_down(self, cached: MailSite, tmp_path: Path) -> None:
        with hop(tmp_path / "other", JOE, "RCPT=550 no") as other:
            env = {"VCHKUSER_SOURCES": f"ahead:127.0.0.1:{other.port}", "VCHKUSER_CACHE_YES": "0"}
            env["VCHKUSER_CACHE_NO"] = "0"
            assert [cached.code("joe@example.org", **env), cached.code("jim@example.org", **env)] == [PASS, REFUSE]
        assert [cached.code("joe@example.org", **env), cached.code("jim@example.org", **env)] == [PASS, DEFER]
        assert cached.code("joe@example.org", VCHKUSER_CACHE_STALE="0", **env) == PASS  # as it was kept

    @pytest.mark.parametrize("name", ["absent/cache.db", "control", "control/rcpthosts"])
    def test_broken(self, cached: MailSite, name: str) -> None:
        done = cached.ask("joe@example.org", VCHKUSER_CACHE=name)
        assert done.returncode == PASS
        assert b"cache " in done.stderr
        assert b"internal error" not in done.stderr

    def test_many_at_once(self, cached: MailSite, next_hop: Hop) -> None:
        env = {**cached.env, "REMOTERCPT": "joe@example.org"}
        command = [sys.executable, "-I", str(PROGRAM)]
        running = [subprocess.Popen(command, env=env, stderr=subprocess.PIPE) for _ in range(8)]
        assert [(process.communicate()[1], process.returncode) for process in running] == [(b"", PASS)] * 8
        assert cached.code("joe@example.org", VCHKUSER_SOURCES="ahead:127.0.0.1:1") == DEFER  # another hop
        before = len(next_hop.asked())
        assert cached.code("joe@example.org") == PASS
        assert len(next_hop.asked()) == before


def test_a_real_next_hop_with_vchkuser_of_its_own(site: MailSite, home: support.QmailHome, tmp_path: Path) -> None:
    """The next hop is qmailfork-smtpd, which asks its own vchkuser: two hosts, one list."""
    home.control(rcpthosts="example.org\n")
    (home.path / "people").write_text("joe@example.org\n")
    checker = home.path / "vchkuser"
    checker.write_text(f"#!/bin/sh\nexec {sys.executable} -I {PROGRAM}\n")
    checker.chmod(0o755)
    env = home.environment(SMTPEXTFORK=str(checker), VCHKUSER_SOURCES="text:people")
    with served(env, tmp_path) as server:
        site.env["VCHKUSER_SOURCES"] = f"ahead:127.0.0.1:{server.port}"
        assert [site.code("joe@example.org"), site.code("jim@example.org")] == [PASS, REFUSE]
        assert site.code("jim@a.example.net") == REFUSE  # 553, not in the next hop's rcpthosts
    assert home.messages() == []


def served(env: dict[str, str], directory: Path) -> AbstractContextManager[Server]:
    """qmailfork-smtpd under tcpserver."""
    return tcpserver(support.smtpd(), env, directory)
