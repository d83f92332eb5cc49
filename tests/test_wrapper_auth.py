"""AUTH of ours in front of an smtpd that has none, on both drivers: it starts anew for a client that logged in."""

import base64
import hashlib
import hmac

import pytest

from tests.servers import REFERENCE, Talk, in_namespace, reference_there
from tests.sessions import KINDS, send, session
from tests.support import QmailHome, recorded, wait_for
from tests.test_wrapper import LOST, child, heard, wrapped

PLAIN = "AUTH PLAIN " + base64.b64encode(b"\0joe\0secret").decode()
AUTH = {
    "SMTPAUTH": "",
    "QMAILFORK_AUTHINPLAIN": "1",
    "QMAILFORK_AUTHDELAY": "0",
    "QMAILFORK_CHECKPASSWORD": "fakes/checkpassword",
}
pytestmark = pytest.mark.parametrize("kind", KINDS)


def test_it_starts_anew(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home, "EHLO=250-child/250-AUTH=X/250 AUTH X", **AUTH) as talk:
        offered = [b"250-child", b"250-PIPELINING", b"250 AUTH LOGIN PLAIN"]
        assert talk.client.command("EHLO foo") == offered
        assert talk.client.command("AUTH PLAIN AGpvZQB3cm9uZw==") == [b"535 authentication failed (#5.7.8)"]
        assert talk.client.command(PLAIN) == [b"235 ok, go ahead (#2.7.0)"]
        assert talk.client.command(PLAIN) == [b"503 you're already authenticated (#5.5.1)"]
        assert talk.client.command("EHLO bar") == [b"250-child", b"250 PIPELINING"]
        assert talk.client.command("QUIT") == [b"221 child bye"]
    assert heard(home) == b"EHLO foo\r\nQUIT\r\nEHLO foo\r\nEHLO bar\r\nQUIT\r\n"


def test_a_challenge_and_its_digest(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home, "EHLO=250_child", **{**AUTH, "SMTPAUTH": "cram"}) as talk:
        assert talk.client.command("EHLO foo")[-1] == b"250 AUTH CRAM-MD5"
        for word, code in ((b"wrong", b"535"), (b"secret", b"235")):
            challenge = base64.b64decode(talk.client.command("AUTH CRAM-MD5")[0][4:])
            digest = hmac.new(word, challenge, hashlib.md5).hexdigest()
            assert talk.client.command(base64.b64encode(b"joe " + digest.encode()))[0][:3] == code
        assert talk.client.command("MAIL FROM:<a@example.net>") == [b"250 child mail"]
    assert heard(home) == b"EHLO foo\r\nQUIT\r\nEHLO foo\r\nMAIL FROM:<a@example.net>\r\n"


def test_before_any_hello(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home, **AUTH) as talk:
        assert talk.client.command(PLAIN) == [b"235 ok, go ahead (#2.7.0)"]
        assert talk.client.command("MAIL FROM:<a@example.net>") == [b"250 child mail"]
    assert heard(home) == b"QUIT\r\nMAIL FROM:<a@example.net>\r\n"


def test_one_that_does_not_come_back(kind: str, home: QmailHome) -> None:
    once = home.path / "bin" / "once"
    once.write_text('#!/bin/sh\n[ -e "$QMAILHOME/started" ] && exit 1\n: >"$QMAILHOME/started"\nexec "$@"\n')
    once.chmod(0o755)
    with session(kind, home, home.environment(**AUTH), [str(once), *child(home)]) as talk:
        assert talk.client.command(PLAIN) == [LOST]
        assert talk.client.rest() == b""
        wait_for(lambda: any("Error::SNDR::Wrapped_Gone" in line for line in talk.log()), what="the line")


@pytest.mark.parametrize("setting", [{"SMTPAUTH": "!"}, {"REQUIREAUTH": "1"}])
def test_required_before_mail(kind: str, home: QmailHome, setting: dict[str, str]) -> None:
    with wrapped(kind, home, **{**AUTH, **setting}) as talk:
        assert talk.client.command("MAIL FROM:<a@example.net>") == [b"530 authentication required (#5.7.0)"]
        assert talk.client.command(PLAIN)[0].startswith(b"235 ")
        assert talk.client.command("MAIL FROM:<a@example.net>") == [b"250 child mail"]


def test_its_own_where_we_have_none(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home, **{**AUTH, "SMTPAUTH": "-", "REQUIREAUTH": "1"}) as talk:
        assert talk.client.command("MAIL FROM:<a@example.net>")[0].startswith(b"530 ")
        assert talk.client.command("AUTH LOGIN") == [b"334 VXNlcg=="]
        assert talk.client.command("am9l") == [b"235 welcome"]
        assert talk.client.command("MAIL FROM:<a@example.net>") == [b"250 child mail"]


def test_within_a_transaction_it_is_whose_it_is(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home, "AUTH=502_unimplemented") as talk:
        assert talk.client.command("MAIL FROM:<a@example.net>") == [b"250 child mail"]
        assert talk.client.command("AUTH PLAIN") == [b"502 unimplemented"]
        assert talk.client.command("RCPT TO:<joe@joedomain.net>") == [b"250 child rcpt"]
    with wrapped(kind, home, **AUTH) as talk:
        assert talk.client.command("MAIL FROM:<a@example.net>") == [b"250 child mail"]
        assert talk.client.command("AUTH PLAIN") == [b"503 no auth during mail transaction (#5.5.1)"]


def relayed(talk: Talk) -> list[bytes]:
    commands = ("MAIL FROM:<joe@joedomain.net>", "RCPT TO:<b@elsewhere.org>")
    return [talk.client.command(line)[0][:3] for line in commands]


@pytest.mark.skipif(not reference_there(), reason="there is no qmail-smtpd")
def test_qmail_smtpd_relays(kind: str, home: QmailHome) -> None:
    """The C server takes what it refused before, with the user in its Received."""
    seen = home.path / "seen"
    env = home.environment(
        **AUTH,
        SMTPEXTFORK="fakes/exit 100",
        SMTPEXTFORKR=f"fakes/record {seen}",
        QMAILQUEUE=str(home.path / "bin" / "qmail-queue"),
    )
    program = in_namespace(home.path / "control", str(REFERENCE))
    with session(kind, home, env, program) as talk:
        talk.client.command("EHLO foo")
        assert relayed(talk) == [b"250", b"553"]
        talk.client.command("RSET")
        assert talk.client.command(PLAIN) == [b"235 ok, go ahead (#2.7.0)"]
        assert relayed(talk) == [b"250", b"250"]
        assert send(talk).startswith(b"250 ok ")
    message = home.messages()[0]
    assert message.recipients == (b"b@elsewhere.org",)
    assert b"(HELO foo) (joe@" in message.message
    facts = dict(variable.split("=", 1) for variable in recorded(seen)["env"])
    assert (facts["AUTHUSER"], facts["RELAYCLIENT"]) == ("joe", "")
