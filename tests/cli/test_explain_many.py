"""`qmailfork explain`, held against real sessions in many situations: one server for all of them, one rule for each."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support import ROOT, QmailHome, smtpd
from tests.ucspi import tcprules, tcpserver
from tests.warm import from_address

JOE, JACK, AWAY = "joe@joedomain.net", "jack@joedomain.net", "joe@elsewhere.example"
JOHN, BAD = "john@foodomain.net", "spam@bad.example"
FORK, FORKR = "SMTPEXTFORK", "SMTPEXTFORKR"
MESSAGE = b"Subject: explain\r\n\r\nexplain\r\n.\r\n"
CONTROLS = {
    "badmailfrom": "@bad.example\nworst@fine.example\n",
    "badhelo": "evil.example\n",
    "badrcptto": "trap@joedomain.net\n",
}

# what a rule sets, the client's name, sender, recipients
Situation = tuple[dict[str, str], str, str, list[str]]


def of_envelopes() -> list[Situation]:
    """With no checker, then behind one that refuses a recipient: senders and recipients of many kinds."""
    senders = [JOHN, "", BAD, "WORST@fine.example", "john", 'a"b@foodomain.net', "a b@foodomain.net", "x@[127.0.0.1]"]
    recipients = [[JOE], [AWAY], [JOE, AWAY, JACK], ["postmaster"], ["JOE@JOEDOMAIN.NET", "x@a.sub.joedomain.net"]]
    some = [[JOE], [AWAY, JACK]]
    plain: list[Situation] = [({}, "foo", JOHN, to) for to in recipients]
    plain += [({FORK: f"fakes/match {JOE} 100"}, "foo", sender, to) for sender in senders for to in some]
    plain += [({}, "foo", sender, [JOE]) for sender in senders]
    return plain


def of_ends() -> list[Situation]:
    """Each way for a checker to end, by each rule for those that fail, and by codes of the site's own."""
    codes = [f"exit {code}" for code in (0, 1, 99, 100, 101, 111, 126, 127, 255)]
    entries = [*codes, "say 100", "say 0", "flood", "die", "absent"]
    fails = [{}, {"SMTPEXTFORKFAIL": "defer"}, {"SMTPEXTFORKFAIL": "reject"}, {"SMTPEXTFORKCODES": "1=550,100=450"}]
    return [
        ({FORK: f"fakes/{entry}", **more}, "foo", JOHN, [JOE])
        for entry, more in itertools.product(entries, fails)
        if entry in ("die", "absent", "exit 1", "exit 100") or not more
    ]


def of_lists() -> list[Situation]:
    """More checkers than one, schemes, words, and what a relay client gets."""
    refuse, defer, joe = "fakes/exit 100", "fakes/exit 101", f"fakes/match {JOE} 100"
    relay = {"RELAYCLIENT": ""}
    return [
        ({FORK: f"{refuse},{defer}"}, "foo", JOHN, [JOE]),
        ({FORK: f"{defer},{refuse}"}, "foo", JOHN, [JOE]),
        ({FORK: f" , {joe} ,, {defer}"}, "foo", JOHN, [JOE, JACK]),
        ({FORK: f"shadow:{refuse},{joe}"}, "foo", JOHN, [JOE, JACK]),
        ({FORK: f"rcptcheck:{refuse}"}, "foo", JOHN, [JOE]),
        ({FORK: "policy:unix:/absent"}, "foo", JOHN, [JOE]),
        ({FORK: "policy:unix:/absent", "SMTPEXTFORKFAIL": "defer"}, "foo", JOHN, [JOE]),
        ({FORK: "policy:nonsense"}, "foo", JOHN, [JOE]),
        ({FORK: "fakes/hang", "SMTPEXTFORKTIMEOUT": "0.1"}, "foo", JOHN, [JOE]),
        ({FORK: "fakes/hang", "SMTPEXTFORKTIMEOUT": "0.1", "SMTPEXTFORKFAIL": "reject"}, "foo", JOHN, [JOE]),
        ({FORK: refuse, "554SMTPEXTFORK": "not here"}, "foo", JOHN, [JOE]),
        ({FORK: refuse, "SMTPEXTFORK554": "not there"}, "foo", JOHN, [JOE]),
        ({FORK: refuse, "554SMTPEXTFORK": "one", "SMTPEXTFORK554": "two"}, "foo", JOHN, [JOE]),
        ({FORK: defer, "454SMTPEXTFORK": "later"}, "foo", JOHN, [JOE]),
        ({FORK: refuse, "SMTPEXTFORKCODES": "100=nonsense"}, "foo", JOHN, [JOE]),
        ({FORK: "fakes/exit 9", "SMTPEXTFORKCODES": "9=421"}, "foo", JOHN, [JOE, JACK]),
        ({FORK: joe, "XF_QUITASAP": "1"}, "foo", JOHN, [JACK, JOE, JACK]),
        ({FORK: joe, "XF_QUITASAP": ""}, "foo", JOHN, [JOE, JACK]),
        ({FORK: "", FORKR: refuse}, "foo", JOHN, [JOE]),
        (relay, "foo", JOHN, [AWAY, JOE]),
        (relay, "foo", BAD, [AWAY]),
        ({"RELAYCLIENT": "@behind"}, "foo", JOHN, [AWAY]),
        ({**relay, FORK: refuse}, "foo", JOHN, [AWAY]),
        ({**relay, FORKR: refuse}, "foo", JOHN, [AWAY]),
        ({**relay, FORK: refuse, FORKR: ""}, "foo", JOHN, [AWAY]),
        ({**relay, FORKR: f"fakes/match {AWAY} 101"}, "foo", JOHN, [AWAY, JOE]),
    ]


def of_switches() -> list[Situation]:
    """spamcontrol's switches, extensions and limits."""
    return [
        ({"HELOCHECK": "."}, "evil.example", JOHN, [JOE]),
        ({"HELOCHECK": "."}, "good.example", JOHN, [JOE]),
        ({"HELOCHECK": ""}, "evil.example", JOHN, [JOE]),
        ({}, "evil.example", JOHN, ["trap@joedomain.net"]),
        ({"MAXRECIPIENTS": "1"}, "foo", JOHN, [JOE, JACK]),
        ({"MAXRECIPIENTS": "2"}, "foo", JOHN, [JOE, JACK]),
        ({"LOCALMFCHECK": ""}, "foo", JOHN, [JOE]),
        ({"LOCALMFCHECK": "", "RELAYCLIENT": ""}, "foo", JOHN, [AWAY]),
        ({"LOCALMFCHECK": "", "RELAYCLIENT": ""}, "foo", JOE, [AWAY]),
        ({"DATABYTES": "10"}, "foo", JOHN, [JOE]),
        ({"DATABYTES": "10000"}, "foo", JOHN, [JOE]),
        ({"DATABYTES": "words"}, "foo", JOHN, [JOE]),
        ({"QMAILFORK_EXTENSIONS": "dsn"}, "foo", JOHN, [JOE]),
        ({"QMAILFORK_EXTENSIONS": "dsn,smtputf8"}, "foo", JOHN, [JOE]),
    ]


def asked(home: QmailHome, cdb: Path, situations: Sequence[Situation], *more: str) -> list[dict[str, Any]]:
    """What explain tells of each."""
    calls = []
    for number, (_, helo, sender, recipients) in enumerate(situations):
        to = [word for recipient in recipients for word in ("--to", recipient)]
        who = ["--ip", address(number), "--helo", helo, "--from", sender, *to]
        calls.append(["-x", str(cdb), "--local", "mail.joedomain.net", "--json", *who, *more])
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, str(ROOT / "tests" / "explainer.py")]
    done = subprocess.run(
        argv, env=environment, cwd=home.path, input=json.dumps(calls), stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(told) for told in json.loads(done.stdout)]


def address(number: int) -> str:
    return f"127.0.{1 + number // 200}.{1 + number % 200}"


def rules(situations: Sequence[Situation]) -> str:
    lines = []
    for number, (variables, *_) in enumerate(situations):
        sets = "".join(f',{name}="{value}"' for name, value in variables.items())
        lines.append(f"{address(number)}:allow{sets}\n")
    return "".join(lines)


def hold(home: QmailHome, situations: Sequence[Situation], told: Sequence[dict[str, Any]], *wrapped: str) -> list[str]:
    """How the situations in which a session went otherwise than told did so."""
    faults = []
    with tcpserver(smtpd(*wrapped), home.environment(), home.path, rules=rules(situations)) as server:
        for number, one in enumerate(told):
            home.forget_messages()
            with closing(from_address(server, address(number))) as client:
                for step in one["conversation"]:
                    if step["client"]:
                        client.send(MESSAGE if step["client"] == "the message" else step["client"].encode() + b"\r\n")
                    lines = [line.decode() for line in client.reply()]
                    if step["reply"] != lines and not lines[0].startswith("250 ok 1"):  # has time and process id
                        faults.append(f"{situations[number]}: {step['client']}: told {step['reply']}, heard {lines}")
            envelopes = [[(m.sender).decode(), *(to.decode() for to in m.recipients)] for m in home.messages()]
            if not wrapped and [queued["envelope"] for queued in one["queued"]] != envelopes:
                faults.append(f"{situations[number]}: told {one['queued']}, queued {envelopes}")
    return faults


def test_what_is_told_is_what_happens(home: QmailHome) -> None:
    home.control(**CONTROLS)
    situations = of_envelopes() + of_ends() + of_lists() + of_switches()
    assert len(situations) > 90
    told = asked(home, tcprules(home.path, rules(situations), "told"), situations)
    assert {True, False} == {one["accepted"] for one in told}
    assert hold(home, situations, told) == []


def test_in_front_of_another_smtpd(home: QmailHome) -> None:
    child = [sys.executable, str(home.fakes / "smtpd"), str(home.path / "heard"), "MAIL=250_child_takes_it"]
    situations = of_lists() + of_ends()
    cdb = tcprules(home.path, rules(situations), "told")
    told = asked(home, cdb, situations, "--wrap", " ".join(child))
    assert all("child takes it" in str(one["conversation"]) for one in told)
    assert b"DATA" not in (home.path / "heard").read_bytes()
    assert hold(home, situations, told, *child) == []


def test_in_front_of_one_that_is_not_there(home: QmailHome) -> None:
    situations: list[Situation] = [({}, "foo", JOHN, [JOE])]
    told = asked(home, tcprules(home.path, rules(situations), "told"), situations, "--wrap", "/absent")
    assert not told[0]["accepted"]
    assert hold(home, situations, told, "/absent") == []


def test_dry_is_as_if_no_checker_objected(home: QmailHome) -> None:
    home.control(**CONTROLS)
    situations = of_envelopes() + of_switches()
    bare = [({name: v for name, v in sets.items() if name != FORK}, *rest) for sets, *rest in situations]
    told = asked(home, tcprules(home.path, rules(situations), "told"), situations, "--dry")
    assert hold(home, bare, told) == []  # type: ignore[arg-type]  # mypy loses the tuple's length


def test_dry_runs_no_wrapped_smtpd(home: QmailHome) -> None:
    situations: list[Situation] = [({FORK: "fakes/exit 100"}, "foo", JOHN, [JOE, AWAY])]
    log = home.path / "heard"
    wrap = f"{sys.executable} {home.fakes}/smtpd {log}"
    told = asked(home, tcprules(home.path, rules(situations), "told"), situations, "--dry", "--wrap", wrap)
    assert [step["reply"][0][:3] for step in told[0]["conversation"]] == ["220", "250", "250", "250", "553", "221"]
    assert not log.exists()
