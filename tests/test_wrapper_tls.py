"""TLS of ours in front of an smtpd that has none, or one of its own that is hidden."""

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.servers import REFERENCE, Talk, in_namespace, reference_there
from tests.sessions import KINDS, serving, session
from tests.smtpclient import Client
from tests.support import QmailHome, recorded, wait_for
from tests.test_starttls import MESSAGE, READY, mismatched, offers, send_message, session_log
from tests.tlsclient import NAME, certificate, expired, over_tls

ENVIRONMENT = 'env >{}; exec "$0" "$@"'
pytestmark = pytest.mark.parametrize("kind", KINDS)


def child(home: QmailHome, *deeds: str) -> list[str]:
    """An smtpd that writes down its environment and what it hears."""
    record = ["/bin/sh", "-c", ENVIRONMENT.format(home.path / "environment")]
    return [*record, sys.executable, str(home.fakes / "smtpd"), str(home.path / "heard"), *deeds]


def heard(home: QmailHome) -> bytes:
    return (home.path / "heard").read_bytes()


def environment(home: QmailHome) -> dict[str, str]:
    lines = (home.path / "environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@contextmanager
def wrapped(kind: str, home: QmailHome, *deeds: str, **more: str) -> Iterator[Talk]:
    with session(kind, home, home.environment(**more), child(home, *deeds)) as talk:
        yield talk


def test_a_message(kind: str, home: QmailHome) -> None:
    trusted = certificate(home)
    seen = home.path / "seen"
    with wrapped(kind, home, FORCETLS="1", SMTPEXTFORK=f"fakes/record {seen}") as talk:
        assert offers(talk.client).count(b"STARTTLS") == 1
        assert talk.client.command(MESSAGE[0]) == [b"535 STARTTLS required (#5.7.1)"]
        assert session_log(talk, "Reject::TLS::missing")
        assert environment(home).keys().isdisjoint({"FORCETLS", "SSL_PROTOCOL"})
        assert talk.client.command("STARTTLS x") == [b"501 no parameters allowed (#5.5.4)"]
        assert talk.client.command("STARTTLS") == READY
        client = over_tls(talk.client, trusted)
        assert client.command(MESSAGE[1]) == [b"503 MAIL first (#5.5.1)"]
        assert b"STARTTLS" not in offers(client)
        assert client.command("STARTTLS") == [b"503 TLS is active already (#5.5.1)"]
        assert send_message(client) == [b"250", b"250", b"354", b"250"]
        assert client.command("QUIT") == [b"221 child bye"]
        assert client.rest() == b""
        assert session_log(talk, "Accept::RCPT::").split(" P:")[1].startswith("ESMTPS ")
        assert session_log(talk, "Accept::TLS::")
    assert environment(home)["SSL_PROTOCOL"] == "TLSv1.3"
    assert dict(variable.split("=", 1) for variable in recorded(seen)["env"])["SSL_PROTOCOL"] == "TLSv1.3"
    assert heard(home).startswith(b"EHLO foo\r\nQUIT\r\nEHLO foo\r\nMAIL FROM:<a@example.net>\r\n")


def test_what_came_in_plain_is_thrown_away(kind: str, home: QmailHome) -> None:
    trusted = certificate(home)
    with wrapped(kind, home) as talk:
        evil = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\n"
        talk.client.send(b"EHLO evil\r\n" + evil + b"STARTTLS\r\nRSET\r\nMAIL FROM:<injected@example.net>\r\n")
        assert [talk.client.reply()[-1][:3] for _ in range(4)] == [b"250", b"250", b"250", b"220"]
        client = over_tls(talk.client, trusted)
        assert client.command("DATA") == [b"503 MAIL first (#5.5.1)"]
        assert client.command("RCPT TO:<joe@joedomain.net>") == [b"503 MAIL first (#5.5.1)"]
        assert session_log(talk, "Info::TLS::Plain_Dropped")
        assert client.command("QUIT") == [b"221 child bye"]
    assert b"injected" not in heard(home)
    assert heard(home).endswith(b"RCPT TO:<joe@joedomain.net>\r\nQUIT\r\nQUIT\r\n")


@pytest.mark.parametrize("spoil", [mismatched, expired])
def test_a_certificate_that_turns_out_bad(kind: str, home: QmailHome, spoil: object) -> None:
    assert callable(spoil)
    spoil(home)
    with wrapped(kind, home) as talk:
        assert talk.client.command("STARTTLS") == [b"454 TLS not available (#4.7.0)"]
        assert session_log(talk, "Error::TLS::Certificate")
        assert send_message(talk.client)[-1] == b"250"
    assert heard(home).startswith(b"MAIL ")


def test_with_the_first_octet(kind: str, home: QmailHome) -> None:
    trusted = certificate(home)
    with serving(kind, home, home.environment(SMTPS="1"), child(home)) as opened, opened() as talk:
        client = over_tls(talk.client, trusted)
        assert client.reply() == [b"220 child"]
        assert send_message(client)[-1] == b"250"
    assert "SMTPS" not in environment(home)
    assert environment(home)["SSL_PROTOCOL"] == "TLSv1.3"


def test_the_smtpd_does_not_come_back(kind: str, home: QmailHome) -> None:
    trusted = certificate(home)
    once = home.path / "once"
    program = ["/bin/sh", "-c", f'[ ! -e {once} ] && >{once} && exec "$0" "$@"', *child(home)]
    with session(kind, home, home.environment(), program) as talk:
        talk.client.command("STARTTLS")
        client = over_tls(talk.client, trusted)
        assert client.reply() == [b"421 unable to speak with the mail server behind (#4.3.0)"]
        assert session_log(talk, "Error::SNDR::Wrapped_Gone")


def test_after_a_login_to_the_smtpd(kind: str, home: QmailHome) -> None:
    certificate(home)
    with wrapped(kind, home, "AUTH=235_welcome") as talk:
        assert talk.client.command("AUTH PLAIN AGEAYg==") == [b"235 welcome"]
        assert b"STARTTLS" not in offers(talk.client)
        assert talk.client.command("STARTTLS")[0].startswith(b"503 ")


def test_let_through(kind: str, home: QmailHome) -> None:
    """The site's word for it counts, where there is a certificate, too."""
    certificate(home)
    with wrapped(kind, home, QMAILFORK_BLIND="starttls") as talk:
        assert offers(talk.client).count(b"STARTTLS") == 1
        assert talk.client.command("STARTTLS") == [b"220 go ahead"]
        talk.client.send(b"\x16\x03\n")
        assert talk.client.read_line().startswith(b"seen ")


@pytest.mark.skipif(not reference_there(), reason="there is no qmail-smtpd")
def test_qmail_smtpd_relays_for_a_certificate(kind: str, home: QmailHome) -> None:
    trusted = certificate(home)
    certificate(home, "joe@joedomain.net", "client.pem", "clientkey.pem", ["emailAddress=joe@joedomain.net"])
    control = home.path / "control"
    home.control(tlsclients="joe@joedomain.net\n", **{"clientca.pem": (control / "client.pem").read_bytes()})
    program = in_namespace(control, str(REFERENCE))
    env = home.environment(QMAILQUEUE=str(home.path / "bin" / "qmail-queue"))
    with session(kind, home, env, program) as talk:
        assert talk.client.command("STARTTLS") == READY
        context = ssl.create_default_context(cafile=str(trusted))
        context.load_cert_chain(control / "client.pem", control / "clientkey.pem")
        client = Client(context.wrap_socket(talk.client.socket, server_hostname=NAME), talk.client.seconds)
        assert client.command("MAIL FROM:<a@example.net>") == [b"250 ok"]
        assert client.command("RCPT TO:<x@elsewhere.org>") == [b"250 ok"]
        client.close()
        wait_for(lambda: any("Accept::AUTH::cert" in line for line in talk.log()), what="the line")
