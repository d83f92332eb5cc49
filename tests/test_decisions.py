"""Decision records: the name in a refusal leads to the record in the log, on every driver; `qmailfork explain ID`."""

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.registry import OURS
from tests.servers import Driver, Talk, serve
from tests.support import PYTHON, QmailHome, qmailfork, smtpd, wait_for

every = pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)


def environment(home: QmailHome, **more: str) -> dict[str, str]:
    return home.environment(**{"QMAILFORK_LOG": "json", "SMTPEXTFORKID": "1", **more})


def rcpt(talk: Talk, *addresses: str) -> list[str]:
    """The last line of the reply to each recipient of one message."""
    talk.client.reply()
    talk.client.command("EHLO foo")
    talk.client.command("MAIL FROM:<a@example.net>")
    return [talk.client.command(f"RCPT TO:<{address}>")[-1].decode() for address in addresses]


def named(reply: str) -> str:
    assert reply.endswith(")"), reply
    return reply.rpartition("(")[2].removesuffix(")")


def records(talk: Talk, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in talk.log() if line.startswith("{")]
    return [one for one in lines if one["id"] == name]


@every
def test_a_refusal_leads_to_its_record(driver: Driver, home: QmailHome) -> None:
    checkers = "shadow:fakes/exit 101,fakes/say 2,fakes/exit 100"
    with driver.open(home, environment(home, SMTPEXTFORK=checkers)) as talk:
        (reply,) = rcpt(talk, "joe@joedomain.net")
        name = named(reply)
        assert reply == f"554 sorry, permanent envelope failure due to local policy ({name})"
        shadowed, refused = records(talk, name)
        assert shadowed["event"] == "Shadow::RCPT::Extfork_101"
        assert (refused["event"], refused["recipient"]) == ("Reject::RCPT::Extfork_100", "joe@joedomain.net")
        for one in refused["checkers"]:
            assert one.pop("ms") >= 0
        assert refused["checkers"] == [
            {"program": "fakes/exit", "exit": 101, "entry": "shadow:fakes/exit 101", "shadow": True},
            {"program": "fakes/say", "exit": 2, "entry": "fakes/say 2", "said": "said on descriptor 1"},
            {"program": "fakes/exit", "exit": 100, "entry": "fakes/exit 100"},
        ]


@every
def test_each_recipient_has_a_number_of_its_own(driver: Driver, home: QmailHome) -> None:
    with driver.open(home, environment(home, SMTPEXTFORK="fakes/match bad@joedomain.net 101")) as talk:
        replies = rcpt(talk, "bad@joedomain.net", "joe@joedomain.net", "joe@elsewhere.example", "not an\0address")
        assert replies[3] == "555 syntax error (#5.5.4)"  # the log has no line about it
        assert replies[1] == "250 ok"
        first, third = named(replies[0]), named(replies[2])
        session, _, number = first.rpartition("-")
        assert (number, third) == ("1", f"{session}-3")
        assert records(talk, f"{session}-2")[0]["event"] == "Accept::RCPT::Rcpthosts_Rcptto"
        assert records(talk, third)[0]["event"] == "Reject::SNDR::Invalid_Relay"
        talk.client.command("DATA")
        talk.client.send(b"\r\n.\r\n")
        talk.client.reply()
        wait_for(lambda: records(talk, session), what="what is logged of the message")
        assert records(talk, session)[0]["event"] == "Accept::DATA::Queued"


@every
def test_sessions_have_names_of_their_own(driver: Driver, home: QmailHome) -> None:
    names = set()
    for _ in range(3):
        with driver.open(home, environment(home, SMTPEXTFORK="fakes/exit 100")) as talk:
            names.add(named(rcpt(talk, "joe@joedomain.net")[0]))
    assert len(names) == 3


@every
def test_the_last_word_before_the_connection_ends_has_it_too(driver: Driver, home: QmailHome) -> None:
    env = environment(home, SMTPEXTFORK="fakes/exit 100", XF_QUITASAP="1")
    env["554SMTPEXTFORK"] = "one\ntwo"
    with driver.open(home, env) as talk:
        (reply,) = rcpt(talk, "joe@joedomain.net")
        assert reply == f"554 two ({named(reply)})"


@every
def test_nobody_is_told_who_did_not_ask(driver: Driver, home: QmailHome) -> None:
    with driver.open(home, environment(home, SMTPEXTFORK="fakes/exit 100", SMTPEXTFORKID="")) as talk:
        assert rcpt(talk, "joe@joedomain.net") == ["554 sorry, permanent envelope failure due to local policy"]


def explain(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        qmailfork("explain", *words), input=stdin.decode(), capture_output=True, text=True, check=False
    )


@pytest.fixture
def told(home: QmailHome) -> tuple[str, bytes]:
    """The name of a refusal, and the log that has it, with stamps as multilog's and half a line at its end."""
    env = environment(home, SMTPEXTFORK="fakes/exit 0,fakes/exit 100")
    with OURS[0].open(home, env) as talk:
        name = named(rcpt(talk, "joe@joedomain.net")[0])
        wait_for(lambda: records(talk, name), what="the record")
        lines = [f"@400000006552a1b20c1d2e3f {line}\n" for line in talk.log()]
    return name, "".join(lines).encode() + b'@400000006552a1b20c1d2e3f {"id":"' + name.encode() + b'","ev'


def test_explain_tells_it_in_words(told: tuple[str, bytes]) -> None:
    name, log = told
    done = explain(name.upper(), stdin=log)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name}  Reject::RCPT::Extfork_100  2023-11-1")
    for part in (
        "  client     203.0.113.7 (unknown), HELO foo\n",
        "  envelope   <a@example.net> to <joe@joedomain.net>\n",
        "  checker    fakes/exit 0: exit 0 in ",
        "  checker    fakes/exit 100: exit 100 in ",
        "  reply      554 sorry, permanent envelope failure due to local policy",
    ):
        assert part in done.stdout, done.stdout


def test_explain_finds_it_in_a_directory(told: tuple[str, bytes], tmp_path: Path) -> None:
    name, log = told
    logs = tmp_path / "main"
    logs.mkdir()
    (logs / "current").write_bytes(b"")
    with gzip.open(logs / "@400000006552a1b50c1d2e3f.s", "wb") as file:
        file.write(log)
    done = explain(name, str(logs), "--json")
    (one,) = json.loads(done.stdout)
    assert (one["id"], one["time"], one["recipient"]) == (name, 1699914152, "joe@joedomain.net")
    assert explain(name.rpartition("-")[0], str(logs)).stdout.count(name) == 1


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("bbbb-bbbb-1",), 1, "bbbb-bbbb-1 is not there"),
        (("o0o0-1l1l",), 2, "o0o0-1l1l is no name of a decision"),
        (("bbbb-bbbb-1", "/absent/log"), 111, "/absent/log: No such file or directory"),
        (("bbbb-bbbb-1", "--ip", "203.0.113.7"), 2, "either ID, or --ip and --to"),
        ((), 2, "Missing option '--ip'"),
    ],
)
def test_explain_says_what_is_wrong(words: tuple[str, ...], status: int, said: str) -> None:
    done = explain(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "log", [b'{"id":"bbbb-bbbb-1"}\n', b'{"id":"bbbb-bbbb-1","event":7}\n', b"[" * 9999 + b'"id":"bbbb-bbbb-1']
)
def test_what_only_looks_like_a_record_is_none(log: bytes) -> None:
    assert explain("bbbb-bbbb-1", stdin=log).returncode == 1


def test_a_record_that_is_full_of_surprises_does_no_harm() -> None:
    log = json.dumps(
        {"id": "bbbb-bbbb-1", "event": "E\x1b[2J", "checkers": [1, {"program": "\x07", "ms": "x"}], "info": 5},
        separators=(",", ":"),
    )
    done = explain("bbbb-bbbb-1", stdin=log.encode() + b"\n")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_in_front_of_another_smtpd(home: QmailHome) -> None:
    env = environment(home, SMTPEXTFORK="fakes/exit 100")
    with serve(smtpd(*PYTHON, str(home.fakes / "smtpd"), str(home.path / "heard")), home, env) as talk:
        name = named(rcpt(talk, "joe@joedomain.net")[0])
        assert records(talk, name)[0]["event"] == "Reject::RCPT::Extfork_100"
