"""qmailfork-cookbook(7): each situation is laid out from the page's own examples and run, by real programs."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cookbook import Block, Host, hosts_of, play, situations
from tests.nameserver import serving
from tests.storeservers import redis
from tests.support import ROOT

SITUATIONS = situations()
AT_ONCE = {"echo 300 >": "echo 0 >"}  # what the page lets a sender wait five minutes for
LISTED = {"9.113.0.127.zen.example": [("A", "127.0.0.2"), ("TXT", "https://zen.example/?9")]}
BEHIND = "GREETING=220_mx.joedomain.net_ESMTP HELO=250_mx.joedomain.net MAIL=250_ok RCPT=250_ok"

LayOut = Callable[..., dict[str, Host]]


@pytest.fixture
def after() -> Iterator[ExitStack]:
    """What is to be ended after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def lay_out(tmp_path: Path, after: ExitStack) -> LayOut:
    """Machines for a situation, with what its first part, the service, lays down."""

    def of(title: str, **replaced: str) -> dict[str, Host]:
        hosts = {name: Host(tmp_path / name, replaced, after) for name in hosts_of(SITUATIONS[title])}
        common = [block for block in SITUATIONS["A first MX"] if block.kind == "file"]
        common = [block for block in common if block.about in ("run", "tcp.smtp") or "control" in block.about]
        play([*common, Block("run", "", "tcprules tcp.smtp.cdb tcp.smtp.tmp < tcp.smtp")], hosts)
        for host in hosts.values():
            host.run("echo /usr/local/bin/qmailfork-queue > env/QMAILQUEUE; echo /var/mail/mx > env/QMAILFORK_MAILDIR")
            host.run("mkdir -p /var/mail/mx/tmp /var/mail/mx/new /var/mail/mx/cur")
        return hosts

    return of


def messages(host: Host) -> list[Path]:
    return list((host.root / "var" / "mail" / "mx" / "new").iterdir())


RESTART = "A restart without loss"
IN_FRONT = "Wrapping an unpatched qmail-smtpd"
TWO_HOSTS = "Two hosts with one greylist"
SPAMDYKE = "Moving from spamdyke"
LIMITS = "Checkers held within limits"
SUBMISSION = "A submission host"
PLAIN = [
    "A first MX",
    "Split horizon",
    "Greylisting for some domains only",
    "A checker on trial",
    "Words for the telephone",
]


@pytest.mark.parametrize("title", PLAIN)
def test_plain(title: str, lay_out: LayOut) -> None:
    play(SITUATIONS[title], lay_out(title, **AT_ONCE))


def test_every_situation_is_tested() -> None:
    own = [RESTART, IN_FRONT, TWO_HOSTS, SPAMDYKE, LIMITS, SUBMISSION]
    assert sorted(SITUATIONS) == sorted(PLAIN + own)
    assert len(SITUATIONS) == 11


def test_a_restart_loses_nothing(lay_out: LayOut) -> None:
    hosts = lay_out(RESTART)
    play(SITUATIONS[RESTART], hosts)
    (message,) = messages(hosts["mx"])
    assert message.read_text().endswith("Subject: hello\n\nShall we meet?\n")


def test_in_front_of_another(lay_out: LayOut, fakes: Path) -> None:
    hosts = lay_out(IN_FRONT)
    heard = hosts["mx"].root / "heard"
    hosts["mx"].write("/var/qmail/bin/qmail-smtpd", f"#!/bin/sh\nexec python3 {fakes}/smtpd {heard} {BEHIND}\n")
    play(SITUATIONS[IN_FRONT], hosts)
    assert b"RCPT TO:<joe@joedomain.net>" in heard.read_bytes()
    assert b"old@joedomain.net" not in heard.read_bytes()


def test_one_greylist(lay_out: LayOut, tmp_path: Path) -> None:
    with redis(tmp_path) as store:
        hosts = lay_out(TWO_HOSTS, **AT_ONCE, **{"redis://redis.joedomain.net:6379/0": store.address})
        play(SITUATIONS[TWO_HOSTS], hosts)


def test_from_spamdyke(lay_out: LayOut) -> None:
    with serving(LISTED) as nameserver:
        hosts = lay_out(SPAMDYKE)
        hosts["mx"].write("env/XF_NAMESERVER", nameserver.address)
        play(SITUATIONS[SPAMDYKE], hosts)


def test_submission(lay_out: LayOut) -> None:
    hosts = lay_out(SUBMISSION)
    place = hosts["mx"].root / "etc" / "ssl" / "mx"
    place.mkdir(parents=True)
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=mx.joedomain.net"]  # fmt: skip
    argv += ["-keyout", place / "privkey.pem", "-out", place / "fullchain.pem"]
    subprocess.run(argv, check=True, capture_output=True)
    play(SITUATIONS[SUBMISSION], hosts)
    (message,) = messages(hosts["mx"])
    assert message.read_text().endswith("Subject: hello\n\nShall we meet?\n")


def test_limits(lay_out: LayOut) -> None:
    hosts = lay_out(LIMITS)
    fence = hosts["mx"].root / "usr" / "local" / "bin" / "qmailfork-fence"
    source = ROOT / "contrib" / "fence" / "qmailfork-fence.c"
    subprocess.run(["cc", "-O1", "-o", str(fence), str(source)], check=True)
    play(SITUATIONS[LIMITS], hosts)
