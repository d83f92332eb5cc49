"""`qmailfork explain`, held against sessions behind real tcpserver."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import QmailHome, qmailfork, smtpd
from tests.ucspi import envdir, tcprules, tcpserver

JOE, JACK, AWAY = "joe@joedomain.net", "jack@joedomain.net", "joe@elsewhere.example"
JOHN = "john@foodomain.net"
REFUSE, DEFER = "fakes/exit 100", "fakes/exit 101"
RELAY = ':allow,RELAYCLIENT=""'

# rules, env-dir, sender, recipients
SITUATIONS: list[tuple[str, dict[str, str], str, list[str]]] = [
    (":allow", {}, JOHN, [JOE]),
    (":allow", {}, "", [JOE, JACK]),
    (":allow", {}, JOHN, [AWAY]),
    (":allow", {}, JOHN, [AWAY, JOE]),
    (":allow", {}, JOHN, ["joe@x.sub.joedomain.net", "JOE@JOEDOMAIN.NET", "postmaster"]),
    (":allow", {}, "spam@bad.example", [JOE]),
    (":allow", {}, "worst@fine.example", [JOE]),
    (":allow", {}, "x" * 890 + "@foodomain.net", [JOE]),
    (":allow", {}, 'a"b>c\\@d', ["@odd" + JOE]),
    (RELAY, {}, JOHN, [AWAY]),
    (RELAY, {"SMTPEXTFORK": REFUSE}, JOHN, [AWAY, JOE]),
    (RELAY, {"SMTPEXTFORKR": REFUSE}, JOHN, [AWAY]),
    (':allow,RELAYCLIENT="@relay"', {}, JOHN, [AWAY]),
    ('127.:allow,RELAYCLIENT=""\n:deny', {}, JOHN, [AWAY]),
    (f'127.0.0.1:allow,SMTPEXTFORK="{REFUSE}"\n:allow', {"SMTPEXTFORK": DEFER}, JOHN, [JOE]),
    ("10.:allow", {"SMTPEXTFORK": DEFER}, JOHN, [JOE]),
    (f':allow,SMTPEXTFORK="{REFUSE}",554SMTPEXTFORK="no, never"', {}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": REFUSE, "SMTPEXTFORK554": "my words"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": REFUSE, "554SMTPEXTFORK": "one\0two"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": f"fakes/match {JOE} 100"}, JOHN, [JOE, JACK]),
    (":allow", {"SMTPEXTFORK": f"fakes/match {JOE} 101,fakes/match {JACK} 100"}, JOHN, [JOE, JACK]),
    (":allow", {"SMTPEXTFORK": "fakes/exit 7"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": "fakes/exit 7", "SMTPEXTFORKCODES": "7=550"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": "fakes/exit 7", "SMTPEXTFORKCODES": "7=421"}, JOHN, [JOE, JACK]),
    (":allow", {"SMTPEXTFORK": "fakes/die"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": "fakes/die", "SMTPEXTFORKFAIL": "defer"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": "fakes/absent", "SMTPEXTFORKFAIL": "reject"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": REFUSE, "XF_QUITASAP": "1"}, JOHN, [JOE, JACK]),
    (":allow", {"SMTPEXTFORK": f"shadow:{REFUSE}"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": "rcptcheck:fakes/exit 100"}, JOHN, [JOE]),
    (":allow", {"SMTPEXTFORK": "policy:unix:/absent", "SMTPEXTFORKFAIL": "defer"}, JOHN, [JOE]),
    (":allow", {"DATABYTES": "10"}, JOHN, [JOE]),
]


def call(home: QmailHome, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path)}
    return subprocess.run(
        qmailfork("explain", *words), env=environment, cwd=home.path, capture_output=True, text=True, check=False
    )


def explained(home: QmailHome, *words: str) -> dict[str, Any]:
    done = call(home, "--ip", "127.0.0.1", "--local", "mail.joedomain.net", "--json", *words)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (not told["accepted"])
    return told


@pytest.mark.parametrize(("rules", "variables", "sender", "recipients"), SITUATIONS)
def test_it_tells_what_happens(
    home: QmailHome, tmp_path: Path, rules: str, variables: dict[str, str], sender: str, recipients: list[str]
) -> None:
    home.control(badmailfrom="@bad.example\nworst@fine.example\n")
    envdir(tmp_path / "env", variables)
    cdb = tcprules(tmp_path, rules + "\n", "told")
    to = [word for recipient in recipients for word in ("--to", recipient)]
    told = explained(
        home, "-x", str(cdb), "--env-dir", f"{tmp_path}/env", "--helo", "foo", "--from", sender, *to
    )  # fmt: skip
    with (
        tcpserver(smtpd(), home.environment(), tmp_path, rules=rules + "\n", variables=variables) as server,
        server.connect() as client,
    ):
        assert len(told["conversation"]) > len(recipients)
        for step in told["conversation"]:
            if step["client"] == "the message":
                client.send(b"Subject: explain\r\n\r\nexplain\r\n.\r\n")
            elif step["client"]:
                client.send(step["client"].encode() + b"\r\n")
            lines = [line.decode() for line in client.reply()]
            if not lines[0].startswith("250 ok 1"):  # which has time and process id
                assert step["reply"] == lines
    assert len(told["queued"]) == len(home.messages())
    for queued, message in zip(told["queued"], home.messages(), strict=True):
        assert queued["envelope"] == [message.sender.decode(), *(one.decode() for one in message.recipients)]


def test_who_may_not_connect(home: QmailHome, tmp_path: Path) -> None:
    told = explained(home, "-x", str(tcprules(tmp_path, "127.:deny\n:allow\n")), "--to", JOE)
    assert told["rule"] == {"address": "127.", "allowed": False, "sets": {}}
    assert told["conversation"] == []


def test_the_rule_and_its_source(home: QmailHome, tmp_path: Path) -> None:
    (tmp_path / "tcp.smtp").write_text('=.example.net:allow,A="1"\n:allow\n')
    told = explained(home, "--rules", f"{tmp_path}/tcp.smtp", "--host", "mx.example.net", "--to", JOE)
    assert told["rule"] == {"address": "=.example.net", "allowed": True, "sets": {"A": "1"}}


def test_dry_runs_nothing(home: QmailHome, tmp_path: Path) -> None:
    lists = f"SMTPEXTFORK=fakes/record {tmp_path}/seen,policy:unix:/absent,{REFUSE}"
    done = call(home, "--ip", "127.0.0.1", "--dry", "--set", lists, "--to", JOE)
    assert done.returncode == 0
    assert done.stdout.count(": would run") == 3
    assert not (tmp_path / "seen").exists()


def test_in_words(home: QmailHome) -> None:
    done = call(home, "--ip", "203.0.113.7", "--set", f"SMTPEXTFORK={DEFER}", "--to", JOE, "--to", AWAY)
    assert done.returncode == 1
    assert "fakes/exit: exit 101 after" in done.stdout
    assert "S: 454 sorry, temporary envelope failure" in done.stdout
    assert "control/rcpthosts does not have the recipient's domain" in done.stdout
    assert "\x1b" not in done.stdout
    home.control(rcpthosts=None)
    assert "an open relay" in call(home, "--ip", "203.0.113.7", "--to", JOE).stdout


def test_why_the_smtpd_behind_does_not_speak(home: QmailHome) -> None:
    for command, why in (("/absent", "cannot be executed"), ("true", "has ended"), ("echo hello", "is no SMTP")):
        done = call(home, "--ip", "::1", "--to", JOE, "--wrap", command)
        assert done.returncode == 1
        assert why in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--to", JOE], 2, "Missing option '--ip'"),
        (["--ip", "::1"], 2, "Missing option '--to'"),
        (["--ip", "x", "--to", JOE], 2, "--ip: x is no address"),
        (["--ip", "::1", "--to", "a\nb"], 2, "no client can send a line feed"),
        (["--ip", "::1", "--to", JOE, "-x", "/absent.cdb"], 111, "/absent.cdb: file does not exist"),
        (["--ip", "::1", "--to", JOE, "-x", "/"], 111, "/: not a readable cdb (Is a directory)"),
        (["--ip", "::1", "--to", JOE, "-x", "/", "--rules", "/"], 2, "either -x or --rules"),
        (["--ip", "::1", "--to", JOE, "--set", "QMAILHOME=/absent"], 111, "/absent: No such file or directory"),
        (["--ip", "::1", "--to", JOE, "--rules", "/absent"], 111, "/absent: No such file or directory"),
        (["--ip", "::1", "--to", JOE, "--rules", "control/rules"], 111, "control/rules: tcprules: fatal: unable"),
        (["--ip", "::1", "--to", JOE, "--rules", "control/octets"], 111, "unable to parse this line: :\\xff"),
        (["\udcff"], 2, "\\xff is no name of a decision"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(home: QmailHome, words: list[str], status: int, sentence: str) -> None:
    home.control(rules="10.:perhaps\n", octets=b":\xff\n")
    done = call(home, *words)
    assert done.returncode == status
    assert sentence in done.stderr.splitlines()[-1]
