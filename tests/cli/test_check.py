"""`qmailfork check`: each finding, and none where all is well."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from qmailfork.cli.checks import known
from tests.support import ROOT, QmailHome, qmailfork
from tests.ucspi import tcprules

LOGIN = {"SMTPAUTH": "", "QMAILFORK_AUTHINPLAIN": "1", "QMAILFORK_CHECKPASSWORD": "/absent x"}
FAMILY = (socket.AF_INET, socket.AF_INET6)
GOOD = {"SMTPEXTFORK": "fakes/exit 0", "SMTPEXTFORKFAIL": "defer"}


def call(home: QmailHome, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path), **variables}
    return subprocess.run(qmailfork("check", *words), env=environment, capture_output=True, text=True, check=False)


def test_all_is_well(home: QmailHome) -> None:
    done = call(home, **GOOD)
    assert (done.stdout, done.returncode) == ("nothing found\n", 0)


@pytest.mark.parametrize(
    ("variables", "status", "where", "what"),
    [
        ({"SMTPEXTFORK": "fakes/absent"}, 2, "SMTPEXTFORK", "fakes/absent is not there"),
        ({"SMTPEXTFORK": "fakes/exit 0,control/me"}, 2, "SMTPEXTFORK", "control/me may not be executed"),
        ({"SMTPEXTFORKFENCE": "/absent -n"}, 2, "SMTPEXTFORKFENCE", "/absent is not there"),
        ({"SMTPEXTFORKR": "spp:fakes/absent"}, 2, "SMTPEXTFORKR", "fakes/absent is not there"),
        ({"SMTPEXTFORKFAIL": "perhaps"}, 2, "SMTPEXTFORKFAIL=perhaps", "makes no sense"),
        ({"SMTPEXTFORKCODES": "7=250"}, 2, "SMTPEXTFORKCODES=7=250", "makes no sense"),
        ({"QMAILFORK_LOG": "xml"}, 2, "QMAILFORK_LOG=xml", "makes no sense"),
        ({"SMTPEXTFORKFAIL": ""}, 1, "SMTPEXTFORKFAIL", "lets the recipient pass"),
        ({"SMTPEXTFROK": "x"}, 1, "SMTPEXTFROK", "no program knows"),
        ({"SMTPEXTFORKTIMOUT": "x"}, 1, "SMTPEXTFORKTIMOUT", "no program knows"),
        ({"550SMTPEXTFORK": "no"}, 1, "550SMTPEXTFORK", "no exit code of a checker leads to"),
        ({"QMAILQUEUE": "/absent"}, 2, "QMAILQUEUE", "/absent is not there"),
        ({"SMTPEXTFORK": "polcy:unix:/run/x"}, 2, "SMTPEXTFORK", "polcy: is no kind of checker"),
        ({"SMTPEXTFORK": "policy:unix:/absent"}, 2, "SMTPEXTFORK", "does not answer: No such file"),
        ({"SMTPEXTFORK": "fakes/exit 0,fakes/exit 0"}, 1, "SMTPEXTFORK", "fakes/exit 0 stands there twice"),
        ({"SMTPEXTFORK": "fakes/exit /bin/true"}, 1, "SMTPEXTFORK", "/bin/true is an argument of fakes/exit"),
        ({"554SMTPEXTFORK": "a", "SMTPEXTFORK554": "b"}, 1, "SMTPEXTFORK554", "554SMTPEXTFORK is set, too"),
        ({"RELAYCLIENT": ""}, 2, "RELAYCLIENT", "an open relay"),
        ({"MAXRECIPIENT": "5"}, 1, "MAXRECIPIENT", "no program knows"),
        ({"SMTPAUTH": "perhaps"}, 2, "SMTPAUTH=perhaps", "makes no sense"),
        ({"SMTPAUTH": ""}, 2, "QMAILFORK_CHECKPASSWORD=", "makes no sense"),
        ({**LOGIN, "QMAILFORK_AUTHINPLAIN": ""}, 2, "SMTPAUTH without TLS", "makes no sense"),
        (LOGIN, 2, "QMAILFORK_CHECKPASSWORD", "/absent is not there"),
        ({**LOGIN, "QMAILFORK_AUTHDELAY": "-1"}, 2, "QMAILFORK_AUTHDELAY=-1", "makes no sense"),
        ({"CERTFILE": "/absent"}, 2, "/absent", "no such file"),
        ({"QMAILHOME": "."}, 2, ".", "QMAILHOME=.: not an absolute path"),
        ({"QMAILHOME": "/absent"}, 2, "/absent", "every client is told 421"),
    ],
)
def test_findings(home: QmailHome, variables: dict[str, str], status: int, where: str, what: str) -> None:
    done = call(home, "--json", **{**GOOD, **variables})
    assert done.returncode == status, done.stderr
    assert [one for one in json.loads(done.stdout) if one["where"] == where and what in f"{one['what']}; {one['why']}"]


def test_an_open_relay(home: QmailHome) -> None:
    home.control(rcpthosts=None)
    done = call(home, **GOOD)
    assert done.returncode == 2
    assert done.stdout.startswith("error: control/rcpthosts: it is not there\n  every recipient of every domain")
    assert "\x1b" not in done.stdout


def test_the_nearest_name(home: QmailHome) -> None:
    assert "did you mean SMTPEXTFORKTIMEOUT?" in call(home, **GOOD, SMTPEXTFORKTIMOUT="5").stdout


def test_rules_that_were_not_compiled(home: QmailHome, tmp_path: Path) -> None:
    source, cdb = tmp_path / "tcp.smtp", tmp_path / "tcp.smtp.cdb"
    source.write_text(":allow\n")
    assert "tcp.smtp.cdb: No such file" in call(home, "--rules", str(source), **GOOD).stdout
    tcprules(tmp_path, ":allow\n", "tcp.smtp")
    os.utime(source, (1, 1))
    assert call(home, "--rules", str(source), **GOOD).returncode == 0
    os.utime(cdb, (0, 0))
    assert "the cdb is older" in call(home, "--rules", str(source), **GOOD).stdout


def test_rules_that_cannot_be_read(home: QmailHome, tmp_path: Path) -> None:
    assert f"error: {tmp_path}/absent: No such file" in call(home, "--rules", f"{tmp_path}/absent", **GOOD).stdout
    (tmp_path / "a").touch()
    assert f"error: {tmp_path}/a/b: Not a directory" in call(home, "--rules", f"{tmp_path}/a/b", **GOOD).stdout


def test_a_relative_path_is_the_callers(home: QmailHome, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(":allow\n")
    tcprules(tmp_path, ":allow\n")
    argv = [*qmailfork("check"), "--rules", "rules"]
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path), **GOOD}
    done = subprocess.run(argv, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("nothing found\n", 0)


def test_nothing_is_found_twice(home: QmailHome) -> None:
    found = json.loads(call(home, "--json", **{**GOOD, "SMTPEXTFORKFAIL": "perhaps"}).stdout)
    assert len(found) == 1


def test_it_knows_the_variables_of_the_manual() -> None:
    manual = (ROOT / "man" / "qmailfork-control.5").read_text()
    listed = re.findall(r"\b(SMTPEXTFORK[A-Z]*|XF_\w+|QMAILFORK_\w+)\b", manual)
    told = re.findall(r"^\.It Ev (.*)$", manual, re.MULTILINE)
    listed += [name for line in told for name in line.split(" , ") if not re.search("[0-9]{3}", name)]
    assert set(listed) - {name.decode() for name in known.ours()} == {"LC_CTYPE"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_resident_checker_is_called_as_the_server_does(host: str, home: QmailHome) -> None:
    with socket.create_server(("::1" if ":" in host else "127.0.0.1", 0), family=FAMILY[":" in host]) as listening:
        entry = f"policy:inet:{host}:{listening.getsockname()[1]}"
        done = call(home, SMTPEXTFORK=entry, SMTPEXTFORKFAIL="defer")
    assert (done.stdout, done.returncode) == ("nothing found\n", 0)


def test_words_of_smtp_are_no_variables() -> None:
    assert known.ours().isdisjoint({b"STARTTLS", b"PIPELINING", b"ESMTP", b"PERMIT", b"REMOTEMF"})
