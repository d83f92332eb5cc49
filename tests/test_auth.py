"""AUTH by every driver: over TLS, by real clients, with nothing of a password where it does not belong."""

import base64
import hashlib
import hmac
import smtplib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.faults.processes import environments_and_arguments
from tests.registry import OURS
from tests.servers import Driver, Talk
from tests.smtpclient import Client
from tests.support import QmailHome, recorded, wait_for
from tests.tlsclient import certificate, over_tls

PLAIN = base64.b64encode(b"\0joe\0secret").decode()
HANG = base64.b64encode(b"\0hang\0unheard-of").decode()
ACCEPTED, FAILED = [b"235 ok, go ahead (#2.7.0)"], [b"535 authentication failed (#5.7.8)"]
pytestmark = pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)


@contextmanager
def session(driver: Driver, home: QmailHome, **more: str) -> Iterator[Talk]:
    """A session in plain with all that AUTH needs, greeted."""
    told = home.path / "told"
    env = {
        "SMTPAUTH": "+cram",
        "QMAILFORK_AUTHINPLAIN": "1",
        "QMAILFORK_AUTHDELAY": "0",
        "QMAILFORK_CHECKPASSWORD": f"fakes/checkpassword {told}",
        "QMAILQUEUE": str(home.path / "bin" / "qmail-queue"),
        **more,
    }
    with driver.open(home, home.environment(**env)) as talk:
        talk.client.reply()
        yield talk


def told(home: QmailHome) -> list[bytes]:
    """What the checkpassword program read on its descriptor 3."""
    return (home.path / "told").read_bytes().split(b"\0")


def test_only_under_tls(driver: Driver, home: QmailHome) -> None:
    trusted = certificate(home)
    seen = home.path / "seen"
    with session(driver, home, QMAILFORK_AUTHINPLAIN="", SMTPEXTFORKR=f"fakes/record {seen}") as talk:
        assert not any(line[4:].startswith(b"AUTH") for line in talk.client.command("EHLO foo"))
        assert talk.client.command(f"AUTH PLAIN {PLAIN}")[0].startswith(b"538 ")
        talk.client.command("STARTTLS")
        client = over_tls(talk.client, trusted)
        assert b"AUTH LOGIN PLAIN CRAM-MD5" in [line[4:] for line in client.command("EHLO foo")]
        assert client.command(f"AUTH PLAIN {PLAIN}") == ACCEPTED
        for line in ("MAIL FROM:<joe@joedomain.net>", "RCPT TO:<b@elsewhere.org>", "DATA", "Subject: x\r\n\r\nhi\r\n."):
            assert client.command(line)[0][:1] in b"23"
        wait_for(lambda: any("Accept::AUTH::plain P:ESMTPSA " in line for line in talk.log()), what="the log line")
    facts = dict(variable.split("=", 1) for variable in recorded(seen)["env"])
    names = ("AUTHUSER", "AUTHPROTOCOL", "TCPREMOTEINFO", "RELAYCLIENT")
    assert [facts[name] for name in names] == ["joe", "plain", "joe", ""]
    assert b"(joe@203.0.113.7)\n  by mail.joedomain.net with ESMTPSA; " in home.messages()[0].message


def test_what_makes_no_sense_for_relay_clients_is_told_once_there_is_one(driver: Driver, home: QmailHome) -> None:
    with session(driver, home, SMTPEXTFORKR="policy:nowhere", SMTPEXTFORKCODES="x") as talk:
        assert talk.client.command(f"AUTH PLAIN {PLAIN}") == ACCEPTED
        assert talk.client.command("NOOP")[0].startswith(b"250 ")
    complaints = [line.split("SMTPEXTFORK")[1] for line in talk.log() if "Error::SNDR::Extfork_Config" in line]
    assert complaints == ["CODES=x'", "R=policy:nowhere'"]


def test_what_the_program_reads(driver: Driver, home: QmailHome) -> None:
    with session(driver, home) as talk:
        assert talk.client.command(f"AUTH PLAIN {PLAIN}") == ACCEPTED
        assert told(home) == [b"joe", b"secret", b"", b""]


def cram_md5(client: Client, password: bytes) -> bytes:
    """The reply to an exchange by CRAM-MD5 and its challenge."""
    (line,) = client.command("AUTH CRAM-MD5")
    challenge = base64.b64decode(line[4:])
    digest = hmac.new(password, challenge, hashlib.md5).hexdigest().encode()
    client.command(base64.b64encode(b"joe " + digest))
    return challenge


def test_a_challenge_and_its_digest(driver: Driver, home: QmailHome) -> None:
    with session(driver, home) as talk:
        first = cram_md5(talk.client, b"wrong")
        user, digest, challenge, _ = told(home)
        assert (user, challenge, len(digest)) == (b"joe", first, 32)
        assert first.startswith(b"<")
        assert first.endswith(b"@mail.joedomain.net>")
        assert cram_md5(talk.client, b"secret") != first
        assert talk.client.command("AUTH LOGIN") == [b"503 you're already authenticated (#5.5.1)"]


def test_a_challenge_is_never_the_same(driver: Driver, home: QmailHome) -> None:
    challenges = set()
    for _ in range(2):
        with session(driver, home) as talk:
            challenges.add(cram_md5(talk.client, b"secret"))
    assert len(challenges) == 2


def test_starttls_after_auth_is_too_late(driver: Driver, home: QmailHome) -> None:
    certificate(home)
    with session(driver, home) as talk:
        assert talk.client.command(f"AUTH PLAIN {PLAIN}") == ACCEPTED
        assert b"STARTTLS" not in [line[4:] for line in talk.client.command("EHLO foo")]
        assert talk.client.command("STARTTLS") == [b"503 you're already authenticated (#5.5.1)"]


def test_a_program_behind_the_program(driver: Driver, home: QmailHome) -> None:
    checkpassword = "fakes/checkpassword -- /usr/bin/env"
    for program, reply in (("true", ACCEPTED), ("false", FAILED)):
        with session(driver, home, QMAILFORK_CHECKPASSWORD=f"{checkpassword} {program}") as talk:
            assert talk.client.command(f"AUTH PLAIN {PLAIN}") == reply


@pytest.mark.parametrize("style", ["spamcontrol", "qmail-ldap", "json"])
def test_a_password_is_nowhere_else(driver: Driver, home: QmailHome, style: str) -> None:
    secrets = [b"unheard-of", HANG.encode(), b"dW5oZWFyZC1vZg=="]
    with session(driver, home, QMAILFORK_LOG=style, LOGLEVEL="4") as talk:
        talk.client.send(f"AUTH PLAIN {HANG}\r\n".encode())
        wait_for(lambda: (home.path / "told").exists() and len(told(home)) == 4, what="the program to read")
        found = list(environments_and_arguments())
        assert any(b"fakes/checkpassword" in text for text in found)
        assert not [text for text in found if any(secret in text for secret in secrets)]
        (home.path / "told.go").touch()
        assert talk.client.reply() == FAILED
        assert talk.client.command("AUTH LOGIN aGFuZw==") == [b"334 UGFzc3dvcmQ6"]
        assert talk.client.command("dW5oZWFyZC1vZg==") == FAILED
        talk.client.command("AUTH LOGIN\0")
        talk.client.command("dW5oZWFyZC1vZg==")
        talk.client.command("QUIT")
        log = "\n".join(talk.log()).encode()
        assert b"hang" in log
    assert not any(secret in log for secret in secrets)


def test_a_user_cannot_forge_the_log(driver: Driver, home: QmailHome) -> None:
    credentials = base64.b64encode(b"\0joe' x\n\0secret").decode()
    with session(driver, home) as talk:
        assert talk.client.command(f"AUTH PLAIN {credentials}") == ACCEPTED
        wait_for(lambda: any(line.endswith("?= 'joe??x?'") for line in talk.log()), what="the log line")


def test_more_than_a_program_reads(driver: Driver, home: QmailHome) -> None:
    for length, code in ((506, b"535"), (507, b"501")):
        credentials = base64.b64encode(b"\0joe\0" + b"x" * length).decode()
        with session(driver, home) as talk:
            assert talk.client.command(f"AUTH PLAIN {credentials}")[0][:3] == code, length


def test_a_slow_failure_holds_up_nobody_else(driver: Driver, home: QmailHome) -> None:
    wrong = base64.b64encode(b"\0joe\0wrong").decode()
    slow = {"QMAILFORK_AUTHDELAY": "1.5"}
    with ExitStack() as stack:
        first = stack.enter_context(session(driver, home, **slow)).client
        began = time.monotonic()
        first.send(f"AUTH PLAIN {wrong}\r\n".encode())
        wait_for((home.path / "told").exists, what="the program to read")
        second = stack.enter_context(session(driver, home, **slow)).client
        assert second.command("NOOP") == [b"250 ok"]
        assert not first.pending
        first.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            first.socket.recv(1)
        assert first.reply() == FAILED
        assert time.monotonic() - began >= 1.5


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_smtplib_logs_in(driver: Driver, home: QmailHome, mechanism: str) -> None:
    with session(driver, home, SMTPAUTH="+cram") as talk:
        client = smtplib.SMTP()
        client.sock = talk.client.socket
        client.sock.settimeout(talk.client.seconds)
        client.ehlo("foo")
        client.user, client.password = "joe", "secret"  # type: ignore[attr-defined]  # as smtplib's own login sets them
        method = getattr(client, "auth_" + mechanism.lower().replace("-", "_"))
        assert client.auth(mechanism, method)[0] == 235
