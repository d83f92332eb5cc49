"""`qmailfork check` and `qmailfork explain` on spamcontrol's switches."""

import json
import os
import subprocess

import pytest

from tests.support import QmailHome, qmailfork


def call(home: QmailHome, command: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path), **variables}
    argv = qmailfork(command, "--json", *words)
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("variables", "files", "where", "what"),
    [
        ({"MAXRECIPIENTS": "many"}, {}, "MAXRECIPIENTS=many", "makes no sense"),
        ({"MAXRECIPIENT": "1"}, {}, "MAXRECIPIENT", "no program knows"),
        ({"REPLY_HALO": "1"}, {}, "REPLY_HALO", "no program knows"),
        ({"HELOCHECK": "x"}, {}, "HELOCHECK=x", "makes no sense"),
        ({"HELOCHECK": "."}, {}, "HELOCHECK", "no control/badhelo"),
        ({"LOCALMFCHECK": "!"}, {}, "LOCALMFCHECK", "mailfromrules.cdb"),
        ({}, {"recipients": ""}, "control/recipients", "no recipient exists"),
        ({}, {"recipients": "*:users/absent.cdb\n"}, "control/recipients", "users/absent.cdb"),
        ({}, {"recipients": "*|fakes/absent -x\n"}, "control/recipients", "fakes/absent is not there"),
        ({}, {"recipients": "*:control/me\n"}, "control/recipients", "not a readable cdb"),
    ],
)
def test_findings(home: QmailHome, variables: dict[str, str], files: dict[str, str], where: str, what: str) -> None:
    home.control(**files)
    done = call(home, "check", **variables)
    assert [one for one in json.loads(done.stdout) if one["where"] == where and what in one["what"] + one["why"]], done


def test_all_is_well(home: QmailHome) -> None:
    home.more_rcpthosts(["more.example"])
    home.control(badhelo="localhost\n", badrcptto="*@x\n", recipients="*:control/morercpthosts.cdb\n!*\n")
    done = call(home, "check", HELOCHECK=".", MAXRECIPIENTS="100", LOCALMFCHECK="", REPLY_HELO="no")
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("variables", "files", "decides"),
    [
        ({"MAXRECIPIENTS": "1"}, {}, "MAXRECIPIENTS"),
        ({"HELOCHECK": "!"}, {}, "HELOCHECK"),
        ({"HELOCHECK": "="}, {}, "HELOCHECK"),
        ({}, {"badmailfrom": "*@*\n"}, "control/badmailfrom"),
        ({}, {"badrcptto": "jim@*\n"}, "control/badrcptto"),
        ({}, {"recipients": ""}, "control/recipients"),
        ({"RELAYCLIENT": "", "LOCALMFCHECK": "="}, {}, "LOCALMFCHECK"),
    ],
)
def test_explain_tells_who_refuses(
    home: QmailHome, variables: dict[str, str], files: dict[str, str], decides: str
) -> None:
    home.control(**files)
    helo = [] if variables.get("HELOCHECK") == "!" else ["--helo", "foo"]
    words = ["--ip", "203.0.113.7", "--from", "a@x", "--to", "joe@joedomain.net", "--to", "jim@joedomain.net", *helo]
    done = call(home, "explain", *words, **variables)
    assert done.returncode == 1, done
    assert any(decides in decision for step in json.loads(done.stdout)["conversation"] for decision in step["decides"])
