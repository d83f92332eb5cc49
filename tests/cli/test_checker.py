"""`qmailfork checker run` and `checker test`, with real checkers, against what a real session says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qmailfork.cli.envelopes import Case, nasty
from tests.support import ROOT, QmailHome, qmailfork, recorded, run_session, smtpd

ENVELOPE = ("--sender", "john@foodomain.net", "--recipient", "joe@joedomain.net", "--helo", "foo")
SESSION = b"EHLO foo\r\nMAIL FROM:<john@foodomain.net>\r\nRCPT TO:<joe@joedomain.net>\r\nQUIT\r\n"


def call(home: QmailHome, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path), **variables}
    return subprocess.run(
        qmailfork("checker", *words), env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def cases(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {case["case"]: case for case in json.loads(done.stdout)["cases"]}


@pytest.mark.parametrize(
    ("entry", "variables"),
    [
        ("fakes/exit 0", {}),
        ("fakes/exit 100", {}),
        ("fakes/exit 101", {"454SMTPEXTFORK": "not now"}),
        ("fakes/exit 7", {}),
        ("fakes/exit 7", {"SMTPEXTFORKCODES": "7=550"}),
        ("fakes/match joe@joedomain.net 100", {"SMTPEXTFORK554": "not joe"}),
        ("fakes/match jack@joedomain.net 100", {}),
        ("fakes/die SEGV", {}),
        ("fakes/die SEGV", {"SMTPEXTFORKFAIL": "defer"}),
        ("fakes/absent", {"SMTPEXTFORKFAIL": "reject"}),
        ("fakes/exit 100", {"XF_QUITASAP": "1"}),
        ("fakes/exit 100", {"SMTPEXTFORKCODES": "100=421"}),
    ],
)
def test_run_says_what_a_session_says(home: QmailHome, entry: str, variables: dict[str, str]) -> None:
    done = call(home, "run", entry, *ENVELOPE, "--json", **variables)
    session = run_session(smtpd(), home.environment(SMTPEXTFORK=entry, **variables), SESSION)
    reply = session.output.decode().split("\r\n")[6]
    assert json.loads(done.stdout)["reply"] == reply, done.stderr
    assert done.returncode == (not reply.startswith("250"))


def test_run_shows_the_checkers_words_without_harm(home: QmailHome, tmp_path: Path) -> None:
    done = call(home, "run", "fakes/say 101", *ENVELOPE)
    assert done.returncode == 1
    first, second, ended, consequence = done.stdout.splitlines()
    assert (first, second) == ("descriptor 1: said on descriptor 1", "descriptor 2: said on descriptor 2")
    assert ended.startswith("exit 101 after ")
    assert consequence == "defers: 454 sorry, temporary envelope failure due to local policy"
    done = call(home, "run", "fakes/careless log", "--info", "\x1b[2J")
    assert "descriptor 2: user \\x1b[2J" in done.stdout
    assert "\x1b" not in done.stdout


def test_run_gives_the_checker_what_it_was_told(home: QmailHome, tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "ONE").write_text("from the env-dir \nsecond line\n")
    (tmp_path / "env" / "GONE").write_text("")
    done = call(
        home, "run", f"fakes/record {tmp_path}/seen", "--sender", "", "--recipient", 'a"b>c\\@x', "--helo", "h h",
        "--ip", "2001:db8::1", "--host", "a.example", "--info", "me", "--env-dir", f"{tmp_path}/env", "--set", "TWO=2",
        "--relay", GONE="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fields = recorded(tmp_path / "seen")
    seen = dict(field.split("=", 1) for field in fields["env"])
    expected = {
        "REMOTEMF": "", "REMOTERCPT": 'a"b>c\\@x', "REMOTEHELO": "h h", "TCPREMOTEIP": "2001:db8::1", "PROTO": "TCP6",
        "TCPREMOTEHOST": "a.example", "TCPREMOTEINFO": "me", "ONE": "from the env-dir", "TWO": "2", "RELAYCLIENT": "",
    }  # fmt: skip
    assert expected.items() <= seen.items()
    assert "GONE" not in seen
    assert fields["cwd"] == [str(home.path)]


def test_a_program_of_this_directory(home: QmailHome) -> None:
    assert call(home, "run", "./tests/fakes/exit 100").returncode == 1
    assert call(home, "run", "../tests/fakes/exit 100").returncode == 0  # not there: it fails, and passes


def test_without_qmails_home_it_says_so(tmp_path: Path, home: QmailHome) -> None:
    done = call(home, "run", f"{home.fakes}/exit 0", QMAILHOME=f"{tmp_path}/absent")
    assert done.returncode == 0
    assert done.stderr.startswith(f"{tmp_path}/absent: No such file or directory; checkers run there")


def test_the_template_has_no_faults(home: QmailHome) -> None:
    done = call(home, "test", f"{sys.executable} {ROOT}/contrib/checkers/template", "--at-once", "4", "--seconds", "60")
    assert done.stdout.endswith("no faults\n"), done.stdout
    assert done.returncode == 0


def test_every_case_reaches_the_checker_as_it_is(home: QmailHome, tmp_path: Path) -> None:
    done = call(home, "test", f"fakes/environments {tmp_path}/seen", "--json", "--at-once", "1")
    assert json.loads(done.stdout)["faults"] == 0
    blocks = (tmp_path / "seen").read_bytes().split(b"\0\0")[:-1]
    seen = [dict(variable.split(b"=", 1) for variable in block.split(b"\0")) for block in blocks]
    expected = nasty(Case(), "CANARY")
    assert list(cases(done))[: len(expected)] == [case.name for case in expected]
    assert len(seen) >= len(expected)
    for case, variables in zip(expected, seen, strict=False):
        if b"CANARY" not in case.sender:
            got = [variables[name] for name in (b"REMOTEMF", b"REMOTERCPT", b"REMOTEHELO")]
            assert got == [case.sender, case.recipient, case.helo or b""], case.name
        assert (b"RELAYCLIENT" in variables) == case.relays
        assert (b"PATH" not in variables) == case.bare
        assert not set(case.without) & set(variables)


def test_a_checker_that_a_long_address_crashes(home: QmailHome) -> None:
    found = cases(call(home, "test", "fakes/overflow", "--json", "--at-once", "1"))
    assert "SIG" in found["addresses of 899 octets"]["faults"][0]
    assert found["the null sender"]["ending"] == "exit 0"
    assert found["the null sender"]["faults"] == []


def test_a_checker_that_has_a_shell_read_the_envelope(home: QmailHome) -> None:
    done = call(home, "test", "fakes/careless run", "--json", "--at-once", "1")
    assert done.returncode == 1
    faulty = [name for name, case in cases(done).items() if "it ran a command" in "".join(case["faults"])]
    assert "shell commands, substituted" in faulty
    assert "a plain envelope" not in faulty


def test_a_checker_that_lets_a_client_write_the_log(home: QmailHome) -> None:
    found = cases(call(home, "test", "fakes/careless log", "--json", "--at-once", "1"))
    assert "forge a line" in found["newlines from ident and DNS"]["faults"][0]
    assert "control characters" in found["escape sequences"]["faults"][0]
    assert found["UTF-8"]["faults"] == []


def test_a_code_without_a_meaning(home: QmailHome) -> None:
    done = call(home, "test", "fakes/exit 1", "--at-once", "1")
    assert done.returncode == 1
    assert "exit code 1 has no meaning" in done.stdout
    assert call(home, "test", "fakes/exit 1", "--at-once", "1", SMTPEXTFORKCODES="1=451").returncode == 0


@pytest.mark.parametrize(
    "entry", ["rcptcheck:fakes/exit 112", "spp:fakes/exit 3", "shadow:fakes/exit 100", "policy:unix:/absent"]
)
def test_other_schemes_have_no_faults(home: QmailHome, entry: str) -> None:
    done = call(home, "test", entry, "--at-once", "2")
    assert done.stdout.endswith("1 fault\n" if "absent" in entry else "no faults\n"), done.stdout


def test_one_that_does_not_end_is_not_waited_for_again_and_again(home: QmailHome, tmp_path: Path) -> None:
    found = cases(call(home, "test", f"fakes/hang {tmp_path}/pid", "--seconds", "0.2", "--json"))
    assert [case["ending"] for case in found.values()] == ["out of time"] * 2


def test_one_that_cannot_be_started(home: QmailHome) -> None:
    (case,) = cases(call(home, "test", "fakes/absent", "--json")).values()
    assert case["ending"] == "not started: No such file or directory"


def test_circumstances(home: QmailHome) -> None:
    done = call(home, "test", "fakes/say 100", "--json", "--at-once", "7")
    found = cases(done)
    assert found["descriptors 0, 1 and 2 closed"]["ending"] == "exit 100"
    assert found["a log that nobody reads"]["ending"] == "SIGPIPE"  # which sh meets in echo
    assert found["a log that nobody reads"]["notes"] == ["decides otherwise than with an open log"]
    assert len(found["7 at once"]["ms"]) == 7
    assert found["7 at once"]["log"] == ["said on descriptor 2"]
    if Path("/dev/full").exists():
        assert found["a log that is full"]["ending"] == "exit 100"


def test_those_that_get_into_each_others_way(home: QmailHome, tmp_path: Path) -> None:
    script = tmp_path / "locked"
    script.write_text(f"#!/bin/sh\nmkdir {tmp_path}/lock 2>/dev/null || exit 101\nsleep 0.2\nrmdir {tmp_path}/lock\n")
    script.chmod(0o755)
    found = cases(call(home, "test", str(script), "--json", "--at-once", "10", "--seconds", "60"))
    assert found["10 at once"]["notes"] == ["not all alike: exit 0, exit 101"]


@pytest.mark.parametrize("columns", [40, 60, 200])
def test_it_fits_the_terminal(home: QmailHome, columns: int) -> None:
    done = call(home, "test", "fakes/die", "--at-once", "2", COLUMNS=str(columns))
    assert "it failed: the next checker" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= max(columns, 60)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run"], "Missing argument 'PROGRAM'"),
        (["run", " "], "PROGRAM: one entry"),
        (["run", "a,b"], "PROGRAM: one entry"),
        (["test", "a,b"], "PROGRAM: one entry"),
        (["test", "policy:nothing"], "PROGRAM: policy:nothing: makes no sense"),
        (["run", "a", "--set", "NAME"], "--set: 'NAME' is not NAME=VALUE"),
        (["run", "a", "--env-dir", "/absent"], "--env-dir: /absent: No such file or directory"),
        (["run", "a", "--sender", "x" * 900], "--sender: the server takes at most 899 octets"),
        (["run", "a", "--recipient", "a\nb"], "--recipient: no client can send a line feed"),
        (["run", "a", "--seconds", "0"], "--seconds"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(home: QmailHome, words: list[str], sentence: str) -> None:
    done = call(home, *words)
    assert done.returncode == 2
    assert sentence in done.stderr.splitlines()[-1]
