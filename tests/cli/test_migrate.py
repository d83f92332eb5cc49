"""`qmailfork migrate`: real sessions with what it wrote do what the old configuration said."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.nameserver import serving
from tests.smtpclient import Client
from tests.support import ROOT, QmailHome, qmailfork, smtpd
from tests.ucspi import tcprules, tcpserver

CHECKERS = ROOT / "contrib" / "checkers"
JOE = "joe@joedomain.net"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def call(place: Path, *words: str, **sources: str) -> subprocess.CompletedProcess[str]:
    """Write each source as a file and migrate them into place/out."""
    given = []
    for name, text in sources.items():
        (place / name).write_text(text, encoding="latin-1")
        given += [f"--{name}", name]
    argv = qmailfork("migrate", "out", "--checkers", str(CHECKERS), *given, *words)
    return subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)


def notes(place: Path, code: int, **sources: str) -> list[dict[str, str]]:
    done = call(place, "--json", **sources)
    assert (done.returncode, done.stderr) == (code, "")
    found: list[dict[str, str]] = json.loads(done.stdout)["notes"]
    return found


def written(place: Path, *names: str) -> dict[str, str]:
    """The variables of env/."""
    return {file.name: file.read_text().partition("\n")[0] for file in sorted((place / "out" / "env").glob("*"))}


def rules(place: Path) -> list[str]:
    return (place / "out" / "tcp.smtp").read_text().splitlines()


@contextmanager
def served(home: QmailHome, place: Path, **more: Any) -> Iterator[Client]:
    """A session behind tcpserver with what was written."""
    out = place / "out"
    for file in out.glob("control/*"):
        shutil.copy(file, home.path / "control" / file.name)
    source = (out / "tcp.smtp").read_text() if (out / "tcp.smtp").exists() else ":allow\n"
    env = {**home.environment(), "PATH": PATH, **more}
    variables = written(place)
    with tcpserver(smtpd(), env, place, rules=source, variables=variables) as server, server.connect() as client:
        yield client


def asked(client: Client, sender: str = "john@foodomain.net", recipient: str = JOE) -> bytes:
    """The reply to RCPT."""
    client.reply()
    for line in ("HELO foo", f"MAIL FROM:<{sender}>"):
        client.command(line)
    return client.command(f"RCPT TO:<{recipient}>")[-1]


@pytest.mark.parametrize(
    ("entry", "sender", "refused"),
    [
        ("spam@bad.example", "spam@bad.example", True),
        ("spam@bad.example", "ham@bad.example", False),
        ("@bad.example", "any@BAD.example", True),
        ("@bad.example", "any@mx.bad.example", True),
        ("@bad.example", "any@notbad.example", False),
    ],
)
def test_a_blacklisted_sender(home: QmailHome, tmp_path: Path, entry: str, sender: str, refused: bool) -> None:
    assert notes(tmp_path, 0, spamdyke=f"sender-blacklist-entry={entry}\n") == []
    with served(home, tmp_path) as client:
        assert asked(client, sender).startswith(b"553" if refused else b"250")


def test_a_blacklisted_recipient_with_words(home: QmailHome, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"# not him\n\n{JOE}\n")
    text = "recipient-blacklist-file=list\nrejection-text-recipient-blacklist=joe has left\n"
    assert notes(tmp_path, 0, spamdyke=text) == []
    with served(home, tmp_path) as client:
        assert b"joe has left" in asked(client)


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.", "127.0", "127.0.0.0/30", "127.0.0.0/255.0.0.0", "126-128.0.0"])
def test_a_blacklisted_client(home: QmailHome, tmp_path: Path, entry: str) -> None:
    assert notes(tmp_path, 0, spamdyke=f"ip-blacklist-entry={entry}\n") == []
    with served(home, tmp_path) as client:
        assert client.rest() == b""


def test_a_list_in_the_dns(home: QmailHome, tmp_path: Path) -> None:
    with serving({"1.0.0.127.bl.test": [("A", "127.0.0.2"), ("TXT", b"spam seen")]}) as server:
        text = f"dns-blacklist-entry=bl.test\ndns-server-ip={server.address}\n"
        assert notes(tmp_path, 0, spamdyke=text) == []
        with served(home, tmp_path) as client:
            reply = asked(client)
        assert reply.startswith(b"554")
        assert b"spam seen" in reply
        assert ("1.0.0.127.bl.test", "A") in server.asked


def test_whitelisted_clients_meet_no_list(home: QmailHome, tmp_path: Path) -> None:
    text = "dns-blacklist-entry=bl.test\nip-blacklist-entry=127.0.0.1\nip-whitelist-entry=127.0.0.\n"
    assert notes(tmp_path, 0, spamdyke=text) == []
    assert "127.0.0.1:allow" in rules(tmp_path)
    with (
        serving({"1.0.0.127.bl.test": [("A", "127.0.0.2")]}) as server,
        served(home, tmp_path, XF_NAMESERVER=server.address) as client,
    ):
        assert asked(client).startswith(b"250")
        assert server.asked == []


def test_clients_without_a_name(home: QmailHome, tmp_path: Path) -> None:
    notes(tmp_path, 0, spamdyke="reject-empty-rdns\n")
    assert rules(tmp_path) == ["=:allow", ":deny"]
    with served(home, tmp_path) as client:  # tcpserver -H: nobody has one
        assert client.rest() == b""


def test_greylisting_and_an_exception(home: QmailHome, tmp_path: Path) -> None:
    text = "graylist-level=always-create-dir\ngraylist-dir=/absent\ngraylist-exception-ip-entry={}\n"
    notes(tmp_path, 0, spamdyke=text.format("10.1.2.3"))
    store = f"sqlite:{tmp_path}/softfail.db"
    with served(home, tmp_path, SOFTFAIL_STORE=store) as client:
        assert asked(client).startswith(b"454")
    shutil.rmtree(tmp_path / "out")
    notes(tmp_path, 0, spamdyke=text.format("127.0.0.1"))
    with served(home, tmp_path, SOFTFAIL_STORE=store) as client:
        assert asked(client).startswith(b"250")


def test_who_speaks_before_the_greeting(home: QmailHome, tmp_path: Path) -> None:
    notes(tmp_path, 0, spamdyke="greeting-delay-secs=20\n")
    with served(home, tmp_path) as client:
        client.send(b"HELO foo\r\n")
        assert client.reply()[0].startswith(b"554")


def test_too_many_recipients(home: QmailHome, tmp_path: Path) -> None:
    notes(tmp_path, 0, spamdyke="max-recipients=1\nidle-timeout-secs=300\n")
    assert (tmp_path / "out/control/timeoutsmtpd").read_text() == "300\n"
    with served(home, tmp_path) as client:
        assert asked(client).startswith(b"250")
        assert client.command(f"RCPT TO:<{JOE}>")[0].startswith(b"452")


@pytest.mark.parametrize(("says", "reply"), [("E553 not here", b"553 not here"), ("N", b"250")])
def test_a_plugin(home: QmailHome, tmp_path: Path, says: str, reply: bytes) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\necho '{says}'\n")
    plugin.chmod(0o755)
    assert notes(tmp_path, 0, spp=f"# ours\n[rcpt]\n{plugin}\n", rules=':allow,RELAYCLIENT=""\n') == []
    with served(home, tmp_path) as client:
        assert asked(client, recipient="joe@elsewhere.example").startswith(reply)


def test_what_no_list_of_checkers_can_hold(tmp_path: Path) -> None:
    found = notes(
        tmp_path, 1, spp="[mail]\nplugins/m\n[rcpt]\n:echo a,b\nplugins/x y\n:echo E553 $A\n[odd]\nplugins/o\n"
    )
    assert [note["where"] for note in found] == ["spp:2", "spp:4", "spp:5", "spp:7", "spp:8"]
    assert written(tmp_path)["SMTPEXTFORK"] == written(tmp_path)["SMTPEXTFORKR"] == "spp::echo E553 $A"


@pytest.mark.parametrize(("option", "reply"), [("", b"451"), ("-b", b"553")])
def test_rblsmtpd(home: QmailHome, tmp_path: Path, option: str, reply: bytes) -> None:
    run = f"#!/bin/sh\nexec tcpserver 0 25 \\\n  rblsmtpd {option} -c -r bl.test /var/qmail/bin/qmail-smtpd\n"
    assert notes(tmp_path, 0, run=run) == []
    assert written(tmp_path)["DNSBL_TROUBLE"] == "defer"
    with (
        serving({"1.0.0.127.bl.test": [("A", "127.0.0.2")]}) as server,
        served(home, tmp_path, XF_NAMESERVER=server.address) as client,
    ):
        assert asked(client).startswith(reply)


def test_rblsmtpd_and_who_is_good(home: QmailHome, tmp_path: Path) -> None:
    run = "#!/bin/sh\nexec tcpserver 0 25 rblsmtpd -r bl.test -a good.test qmail-smtpd\n"
    assert notes(tmp_path, 0, run=run) == []
    zone = {f"1.0.0.127.{name}.test": [("A", "127.0.0.2")] for name in ("bl", "good")}
    with serving(zone) as server, served(home, tmp_path, XF_NAMESERVER=server.address) as client:
        assert asked(client).startswith(b"250")


def test_rules_and_rblsmtpd(tmp_path: Path) -> None:
    source = '10.1.:allow,RBLSMTPD=""\n10.2.3-4.:allow,RBLSMTPD="no"\n127.:allow,RELAYCLIENT=""\n:allow,A=\'"\'\n'
    run = "#!/bin/sh\nexec tcpserver 0 25 rblsmtpd -r bl.test qmail-smtpd\n"
    found = notes(tmp_path, 0, rules=source, run=run)
    assert [(note["kind"], note["where"]) for note in found] == [("differs", "rules:2")]
    assert rules(tmp_path) == [
        "10.1.:allow", "10.2.3.:deny", "10.2.4.:deny", '127.:allow,RELAYCLIENT=""',
        f":allow,A='\"',SMTPEXTFORK=\"{CHECKERS}/dnsbl\"",
    ]  # fmt: skip
    tcprules(tmp_path, (tmp_path / "out/tcp.smtp").read_text())


def test_a_rule_that_asks_spf_and_one_without_equal(tmp_path: Path) -> None:
    found = notes(tmp_path, 1, rules=':allow,SPFBEHAVIOR="3",QHPSI="clamdscan"\nnonsense\n10.:permit\n')
    assert [note["where"] for note in found] == ["rules:1", "rules:2", "rules:3"]
    assert f'SMTPEXTFORK="{CHECKERS}/xf-spf"' in rules(tmp_path)[0]


def test_spamdyke_in_a_run_script_and_files_that_include_files(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("config-file=spam.conf\ntls-level=smtps\nip-relay-entry=10.1.\n")
    (tmp_path / "spam.conf").write_text(
        "config-file=more\ntls-certificate-file=/c.pem\nrdns-whitelist-entry=.a.example\n"
    )
    found = notes(tmp_path, 1, run="#!/bin/sh\nexec tcpserver 0 25 spamdyke -r -f spam.conf qmail-smtpd\n")
    assert [note["what"] for note in found] == ["-r"]
    assert written(tmp_path) == {"CERTFILE": "/c.pem", "SMTPS": "1"}
    assert rules(tmp_path) == ['10.1.:allow,RELAYCLIENT=""', "=.a.example:allow", "=a.example:allow", ":allow"]


@pytest.mark.parametrize(
    ("name", "address", "allowed", "relays"),
    [
        ("mx.spam.example", "=.spam.example", False, False),
        ("spam.example", "=spam.example", False, False),
        ("good.spam.example", "=good.spam.example", True, False),
        ("mx.ours.example", "=.ours.example", True, True),
        ("notspam.example", "", True, False),
    ],
)
def test_names_of_clients(tmp_path: Path, name: str, address: str, allowed: bool, relays: bool) -> None:
    text = (
        "rdns-blacklist-entry=.Spam.example\nrdns-whitelist-entry=good.spam.example\nrdns-relay-entry=.ours.example\n"
    )
    assert notes(tmp_path, 0, spamdyke=text) == []
    argv = qmailfork("explain", "--json", "--rules", "out/tcp.smtp", "--ip", "192.0.2.7", "--host", name, "--to", JOE)
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    rule = json.loads(done.stdout)["rule"]
    assert (rule["address"], rule["allowed"], "RELAYCLIENT" in rule["sets"]) == (address, allowed, relays)


@pytest.mark.parametrize(
    ("text", "differences", "expected"),
    [
        ("filter-level=reject-all", 0, [":deny"]),
        ("filter-level=allow-all\nip-relay-entry=10.1.\nmax-recipients=0", 0,
         ['10.1.:allow,RELAYCLIENT=""', ":allow"]),
        ("access-file=list", 0, ["10.1.2.:deny", "10.1.3.:deny", ":allow"]),
        ("graylist-level=only-create-dir\ngraylist-dir=/g\ngraylist-exception-ip-entry=10.1.", 2, [
            f'10.1.:allow,SMTPEXTFORK="{CHECKERS}/softfail"', ":allow",
        ]),
    ],
)  # fmt: skip
def test_rules_that_come_of_levels(tmp_path: Path, text: str, differences: int, expected: list[str]) -> None:
    (tmp_path / "list").write_text("10.1.2.0/23:deny\n")
    told = notes(tmp_path, 0, spamdyke=f"{text}\n")
    assert [note["kind"] for note in told] == ["differs"] * differences
    assert rules(tmp_path) == expected


def test_local_domains_are_those_of_rcpthosts(tmp_path: Path) -> None:
    assert notes(tmp_path, 0, spamdyke="local-domains-file=/var/qmail/control/rcpthosts\n") == []
    found = notes(tmp_path, 0, spamdyke="local-domains-file=/etc/domains\nlocal-domains-entry=a.example\n")
    assert [note["where"] for note in found] == ["spamdyke:1", "spamdyke:2"]


def test_values_taken_back(tmp_path: Path) -> None:
    text = "ip-blacklist-entry=10.1.2.3\nip-blacklist-entry=10.1.2.4\nip-blacklist-entry=!10.1.2.3\nmax-recipients=1\n"
    assert notes(tmp_path, 0, spamdyke=f"{text}max-recipients=!!!\nreject-unresolvable-rdns=no\nlog-level=info\n") == []
    assert rules(tmp_path) == ["10.1.2.4:deny", ":allow"]


@pytest.mark.parametrize(
    "line",
    [
        "config-dir=/etc/spamdyke.d", "reject-ip-in-cc-rdns", "sender-whitelist-entry=joe@a.example",
        "recipient-whitelist-entry=joe@a.example", "rdns-blacklist-dir=/x", "greeting-delay-secs=long",
        "ip-blacklist-entry=300.1", "ip-blacklist-entry=0.0.0.0/0", "reject-recipient=same-as-sender",
        "relay-level=allow-all",        "header-blacklist-entry=Subject: x", "greeting-delay-sec=1", "policy-url=http://x.example/",
        "rejection-text-timeout=gone", "sender-blacklist-entry=a*@b.example",
    ],
)  # fmt: skip
def test_what_has_no_equal_is_listed(tmp_path: Path, line: str) -> None:
    found = notes(tmp_path, 1, spamdyke=f"# the first line\n{line}\n")
    assert [(note["kind"], note["where"]) for note in found] == [("no equal", "spamdyke:2")]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out/env").mkdir(parents=True)
    (tmp_path / "out/env/SMTPS").write_text("mine\n")
    done = call(tmp_path, spamdyke="tls-level=smtps\nidle-timeout-secs=3\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "out/env/SMTPS: there already" in done.stderr
    assert (tmp_path / "out/env/SMTPS").read_text() == "mine\n"
    assert not (tmp_path / "out/control").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name what is to be read"),
        (["--rules", "absent"], "absent: No such file or directory"),
        (["--rules", "."], ".: Is a directory"),
        (["--spamdyke", sys.executable], ":1: control characters"),
        (["--spp", "\x1b[2J"], "\\x1b[2J: No such file"),
        (["--run", "/dev/null"], "neither rblsmtpd nor spamdyke"),
        (["--rules", "/dev/null", "--checkers", "/a b"], "neither blanks nor commas"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, words: list[str], said: str) -> None:
    done = call(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file\n")
    done = call(tmp_path, spamdyke="tls-level=smtps\n")
    assert done.returncode == 2
    assert "Not a directory" in done.stderr


def test_what_is_not_written_whole_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "env").write_text("a file\n")
    done = call(tmp_path, spamdyke="tls-level=smtps\nsender-blacklist-entry=a@b.example\nreject-empty-rdns\n")
    assert done.returncode == 2
    assert "/env/SMTPS: Not a directory" in done.stderr
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["env"]


def test_words_for_people(tmp_path: Path) -> None:
    done = call(tmp_path, spamdyke="reject-empty-rdns\nconfig-dir=/x\x80\n")
    assert done.returncode == 1
    assert "no equal: spamdyke:2: config-dir=/x" in done.stdout
    assert "without -H" in done.stdout
