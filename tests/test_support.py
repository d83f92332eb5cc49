"""The tests' own tools do what the tests take for granted, shown with the smallest programs there are."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.smtpclient import Client
from tests.support import QmailHome, Stored, recorded, run_session, wait_for
from tests.ucspi import tcpserver

ENVELOPE = b"Fa@example.net\0Tjoe@joedomain.net\0Tx@joedomain.net\0\0"


def hand_over(home: QmailHome, message: bytes, envelope: bytes, **more: str) -> int:
    """Runs the home's queue as qmail-smtpd does: message on descriptor 0, envelope on 1."""
    message_file, envelope_file = home.path / "m", home.path / "e"
    message_file.write_bytes(message)
    envelope_file.write_bytes(envelope)
    with message_file.open("rb") as zero, envelope_file.open("rb") as one:
        env = home.environment(**more)
        run = subprocess.run(["bin/qmail-queue"], stdin=zero, stdout=one, cwd=home.path, env=env, check=False)
    return run.returncode


def test_the_queue_keeps_what_is_complete(home: QmailHome) -> None:
    assert hand_over(home, b"Subject: x\n\nhello\n", ENVELOPE) == 0
    assert home.messages() == [
        Stored(b"Subject: x\n\nhello\n", b"a@example.net", (b"joe@joedomain.net", b"x@joedomain.net"))
    ]


@pytest.mark.parametrize("length", range(len(ENVELOPE)))
def test_the_queue_keeps_nothing_of_an_envelope_that_breaks_off(home: QmailHome, length: int) -> None:
    assert hand_over(home, b"x\n", ENVELOPE[:length]) == 54
    assert home.messages() == []
    assert home.drafts() == []


@pytest.mark.parametrize("envelope", [b"Tx\0\0", b"Fx\0Fy\0\0", b"Fx\0Ty\0\0more"])
def test_the_queue_refuses_another_form(home: QmailHome, envelope: bytes) -> None:
    assert hand_over(home, b"x\n", envelope) == 91
    assert home.messages() == []


@pytest.mark.parametrize(
    ("fake", "more", "status"),
    [
        ("queue-exit", {"FAKE_QUEUE_EXIT": "31"}, 31),
        ("queue-early", {}, 53),
        ("queue-crash", {"FAKE_QUEUE_SIGNAL": "KILL"}, -9),
    ],
)
def test_queues_that_fail(home: QmailHome, fake: str, more: dict[str, str], status: int) -> None:
    home.queue(fake)
    assert hand_over(home, b"x\n", ENVELOPE, **more) == status
    assert home.messages() == []


def test_the_recorder_sees_how_it_was_started(home: QmailHome) -> None:
    file = home.path / "seen"
    argv = [str(home.fakes / "record"), str(file), "7"]
    assert run_session(argv, {"554SMTPEXTFORK": "no"}, b"").status == 7
    seen = recorded(file)
    assert seen["env"] == ["554SMTPEXTFORK=no"]
    assert seen["cwd"] == [os.getcwd()]
    assert seen["arg"] == argv
    assert sorted(seen["fd"]) == ["0", "1", "2"]
    assert seen["file0"] == ["other"]


def test_a_wait_in_vain_names_what_it_waited_for() -> None:
    with pytest.raises(AssertionError, match="for the moon"):
        wait_for(lambda: False, seconds=0.01, what="the moon")


def test_tcpserver_with_rules_and_an_env_dir(home: QmailHome, tmp_path: Path) -> None:
    rules = '127.0.0.1:allow,A="from the rules"\n:deny\n'
    program = ["sh", "-c", 'echo "$A, $B, $TCPREMOTEIP"; cat']
    serving = tcpserver(program, home.environment(), tmp_path, rules=rules, variables={"B": "b"})
    with serving as server, server.connect() as client:
        assert client.read_line() == b"from the rules, b, 127.0.0.1\n"
        assert client.command("220-one\r\n220 two") == [b"220-one", b"220 two"]
        client.half_close()
        assert client.rest() == b""
        server.wait_log("end")


def test_a_client_reads_replies_and_the_end(home: QmailHome, tmp_path: Path) -> None:
    serving = tcpserver(["printf", r"250-a\r\n250 b\r\n"], home.environment(), tmp_path)
    with serving as server, server.connect() as client:
        assert client.reply() == [b"250-a", b"250 b"]
        assert client.reply() == []
        assert isinstance(client, Client)
