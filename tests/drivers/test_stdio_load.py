"""What a session costs: memory that does not grow with what comes in, and an import list that does not grow at all."""

import subprocess

import pytest

from tests.drivers.memory import BLOCK, KIB, TWENTY_MB, after_a_message, begin, peak
from tests.drivers.session import HELO, MAIL, RCPT
from tests.servers import Talk, stdio
from tests.support import PYTHON, QmailHome, smtpd


def test_memory_is_flat_for_a_message_of_20_mb(home: QmailHome) -> None:
    small, _ = after_a_message(home, 1)
    large, reply = after_a_message(home, TWENTY_MB)
    assert reply.startswith(b"250 ok")
    assert large - small <= 4 * KIB
    assert len(home.messages()[-1].body) == TWENTY_MB * 77 * 1000


def test_so_it_is_for_one_chunk_and_for_many(home: QmailHome) -> None:
    with stdio(home, home.environment(QMAILFORK_EXTENSIONS="chunking")) as talk:
        begin(talk)
        assert chunks(talk, b"BDAT %d\r\n" % len(BLOCK), BLOCK, 1)[:3] == b"250"
        few = peak(talk)
        assert chunks(talk, b"BDAT %d\r\n" % (TWENTY_MB * len(BLOCK)), BLOCK, TWENTY_MB)[:3] == b"250"
        for _ in range(20):
            talk.client.send(b"BDAT 1\r\nx" * 2000)
            assert {talk.client.read_line() for _ in range(2000)} == {b"250 ok 1 octets"}
        assert talk.client.command("BDAT 0 LAST")[0].startswith(b"250 ok ")
        assert peak(talk) - few <= 4 * KIB
    (message,) = home.messages()
    assert len(message.body) == (TWENTY_MB + 1) * 77 * 1000 + 40_000 + 1


def chunks(talk: Talk, command: bytes, block: bytes, times: int) -> bytes:
    """The reply to one chunk of so many blocks."""
    talk.client.send(command)
    for _ in range(times):
        talk.client.send(block)
    return talk.client.read_line()


@pytest.mark.parametrize("fake", ["queue-early", "queue-exit"])
def test_so_it_is_for_one_that_is_not_taken(home: QmailHome, fake: str) -> None:
    home.queue(fake)
    small, _ = after_a_message(home, 1, FAKE_QUEUE_EXIT="53")
    large, reply = after_a_message(home, TWENTY_MB, FAKE_QUEUE_EXIT="53")
    assert reply == b"451 qq write error or disk full (#4.3.0)"
    assert large - small <= 4 * KIB


@pytest.mark.parametrize(
    "piece", [b"x" * 78_000, b"\r" * 78_000, b"Received: x\r\n" * 6000, b".\r" * 39_000, b"\r\n" * 39_000]
)
def test_so_it_is_for_odd_messages(home: QmailHome, piece: bytes) -> None:
    with stdio(home, home.environment()) as talk:
        begin(talk)
        talk.client.command("DATA")
        talk.client.send(piece)
        talk.client.send(piece)
        few = peak(talk)
        for _ in range(100):
            talk.client.send(piece)
        assert talk.client.command("\r\n.")[0][:3] in (b"250", b"554")
        assert peak(talk) - few <= 4 * KIB


def test_memory_is_flat_for_a_command_without_end(home: QmailHome) -> None:
    with stdio(home, home.environment()) as talk:
        begin(talk)
        few = peak(talk)
        for _ in range(TWENTY_MB):
            talk.client.send(b"x" * 77_000)
        assert talk.client.command("") == [b"500 line too long (#5.5.2)"]
        assert talk.client.command("NOOP") == [b"250 ok"]
        assert peak(talk) - few <= 4 * KIB


def test_memory_is_flat_for_a_flood_of_commands(home: QmailHome) -> None:
    with stdio(home, home.environment()) as talk:
        begin(talk)
        few = peak(talk)
        for _ in range(50):
            talk.client.send(b"RSET\r\n" * 2000)
            for _ in range(2000):
                assert talk.client.read_line() == b"250 flushed"
        assert peak(talk) - few <= 4 * KIB


def test_memory_is_bounded_for_a_checker_that_floods_its_output(home: QmailHome) -> None:
    with stdio(home, home.environment(SMTPEXTFORK="fakes/flood 1000,fakes/flood 50000000 101")) as talk:
        begin(talk)
        few = peak(talk)
        assert talk.client.command(RCPT)[0].startswith(b"454 ")
        assert peak(talk) - few <= 4 * KIB


def imported(*argv: str, env: dict[str, str], said: bytes = b"") -> set[str]:
    """The modules that a child interpreter imported."""
    done = subprocess.run([*PYTHON, "-X", "importtime", *argv], env=env, input=said, capture_output=True, check=True)
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines[1:]}


WHOLE = [HELO, "EHLO foo", MAIL, RCPT, "DATA", "Subject: x", "", "hello", ".", "RSET", "NOOP", "VRFY x", "HELP", "QUIT"]


def test_a_whole_session_imports_next_to_nothing(home: QmailHome) -> None:
    home.control(badmailfrom="@bad.example\n", databytes="100000\n", localiphost="x\n", timeoutsmtpd="60\n")
    env = home.environment(SMTPEXTFORK="fakes/exit 0", SMTPEXTFORKCODES="7=550", SMTPEXTFORKTIMEOUT="10")
    bare = imported("-c", "pass", env=env)
    said = "".join(line + "\r\n" for line in WHOLE).encode()
    ours = imported(*smtpd()[-1:], env=env, said=said) - bare
    assert len(home.messages()) == 1
    assert {name for name in ours if not name.startswith("qmailfork")} <= {"errno", "gc", "select", "_signal"}
    assert "qmailfork.smtp.body" in ours
    strangers = (
        "qmailfork.cli", "qmailfork.drivers.listener", "qmailfork.drivers.worker", "qmailfork.system.cdb",
        "qmailfork.system.switches", "qmailfork.system.lists", "qmailfork.conversation.screening",
        "qmailfork.conversation.switches", "qmailfork.programs.refusals", "qmailfork.conversation.extensions",
        "qmailfork.conversation.chunking", "qmailfork.smtp.chunks",
    )  # fmt: skip
    assert not any(name.startswith(strangers) for name in ours)


@pytest.mark.parametrize(
    "heavy",
    [
        "asyncio",
        "logging",
        "click",
        "subprocess",
        "email",
        "dataclasses",
        "typing",
        "enum",
        "re",
        "os",
        "json",
        "cdblib",
    ],
)
def test_what_is_not_paid_for(home: QmailHome, heavy: str) -> None:
    said = "".join(line + "\r\n" for line in WHOLE).encode()
    assert heavy not in imported(*smtpd()[-1:], env=home.environment(SMTPEXTFORK="fakes/exit 0"), said=said)
