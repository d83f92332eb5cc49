"""A submission service in front of an smtpd that knows neither TLS nor AUTH: under tcpserver and in the listener."""

import base64
import secrets
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.faults.processes import environments_and_arguments
from tests.servers import REFERENCE, in_namespace, reference_there
from tests.sessions import KINDS
from tests.smtpclient import Client
from tests.support import ROOT, QmailHome, qmailfork, recorded, smtpd, wait_for
from tests.test_starttls import READY, offers
from tests.test_wrapper_tls import child, environment, heard
from tests.tlsclient import NAME, certificate, over_tls
from tests.ucspi import Server, listening, tcpserver

CHECKPASSWORD = ROOT / "contrib" / "checkpassword-file"
SETTINGS = {"SMTPAUTH": "", "QMAILFORK_AUTHDELAY": "0", "FORCETLS": "1"}
MAIL, RCPT = "MAIL FROM:<joe@joedomain.net>", "RCPT TO:<b@elsewhere.org>"
DENIED = [b"538 encryption required, STARTTLS first (#5.7.11)"]
Submission = Callable[..., AbstractContextManager[Server]]
pytestmark = pytest.mark.parametrize("kind", KINDS)
with_qmail = pytest.mark.skipif(not reference_there(), reason="there is no qmail-smtpd")


@pytest.fixture
def password() -> str:
    """One that stands nowhere else on this machine."""
    return secrets.token_hex(12)


@pytest.fixture
def submission(kind: str, home: QmailHome, password: str) -> Submission:
    """What starts such a service in front of a program; joe may log in, by checkpassword-file."""
    file = home.path / "passwords"
    argv = [sys.executable, "-I", str(CHECKPASSWORD)]
    subprocess.run([*argv, "--add", str(file), "joe"], input=password.encode() + b"\n", check=True)

    @contextmanager
    def start(program: Sequence[str], **more: str) -> Iterator[Server]:
        named = {"QMAILFORK_CHECKPASSWORD": " ".join([*argv, str(file)])}
        session = home.environment(**{**SETTINGS, **named, **more}, QMAILQUEUE=str(home.path / "bin" / "qmail-queue"))
        env = {name: value for name, value in session.items() if not name.startswith("TCP") and name != "PROTO"}
        with serving(kind, home, env, program) as server:
            yield server

    return start


def serving(
    kind: str, home: QmailHome, env: Mapping[str, str], program: Sequence[str]
) -> AbstractContextManager[Server]:
    if kind == "stdio":
        return tcpserver(smtpd(*program), env, home.path)
    argv = qmailfork("listen", "-1HR", "-l", NAME, "--workers", "1", "127.0.0.1", "0", *program)
    return listening(argv, env, home.path / "log", "127.0.0.1")


def qmail_smtpd(home: QmailHome) -> list[str]:
    return in_namespace(home.path / "control", str(REFERENCE))


def greeted(server: Server) -> Client:
    client = server.connect()
    assert client.reply()[0].startswith(b"220 ")
    return client


def plain(user: str, password: str) -> str:
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


@with_qmail
def test_smtplib(submission: Submission, home: QmailHome, password: str) -> None:
    trusted = certificate(home)
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = False
    seen = home.path / "seen"
    checkers = {"SMTPEXTFORK": "fakes/exit 100", "SMTPEXTFORKR": f"fakes/record {seen}"}
    with submission(qmail_smtpd(home), **checkers) as server, smtplib.SMTP(server.host, server.port) as client:
        client.starttls(context=context)
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login("joe", "wrong")
        assert refused.value.smtp_code == 535
        assert server.wait_log("Reject::AUTH::plain P:ESMTPSA ").endswith("'joe'")
        assert (client.mail("joe@joedomain.net")[0], client.rcpt("b@elsewhere.org")[0]) == (250, 553)
        client.rset()
        assert client.login("joe", password)[0] == 235
        assert client.sendmail("joe@joedomain.net", ["b@elsewhere.org"], "Subject: x\n\nhello\n") == {}
        assert server.wait_log("Accept::AUTH::plain P:ESMTPSA ").endswith("?= 'joe'")
        facts = dict(variable.split("=", 1) for variable in recorded(seen)["env"])
    assert [facts[name] for name in ("AUTHUSER", "AUTHPROTOCOL", "RELAYCLIENT")] == ["joe", "plain", ""]
    assert facts["SSL_PROTOCOL"] == "TLSv1.3"
    (message,) = home.messages()
    assert message.recipients == (b"b@elsewhere.org",)
    assert b"(joe@127.0.0.1)" in message.message


@with_qmail
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(submission: Submission, home: QmailHome, password: str, mechanism: str) -> None:
    certificate(home)
    whom = ["--to", "b@elsewhere.org", "--from", "joe@joedomain.net", "--tls", "--auth", mechanism]
    with submission(qmail_smtpd(home), SMTPEXTFORK="fakes/exit 100", SMTPEXTFORKR="fakes/exit 0") as server:
        where = ["--server", server.host, "--port", str(server.port), "--auth-user", "joe"]
        outcomes = []
        for word in ("wrong", password):
            argv = ["swaks", *where, *whom, "--auth-password", word]
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            outcomes.append((done.returncode, "<~* 535 " in done.stdout))
        assert outcomes == [(28, True), (0, False)]  # swaks: 28 is an error in authentication
        assert server.wait_log(f"Reject::AUTH::{mechanism.lower()} P:ESMTPSA ")
        assert server.wait_log(f"Accept::AUTH::{mechanism.lower()} P:ESMTPSA ")
    assert [message.recipients for message in home.messages()] == [(b"b@elsewhere.org",)]


def test_only_under_tls(submission: Submission, home: QmailHome, password: str) -> None:
    """What stands in plain before the handshake is refused or thrown away, and the smtpd hears none of it."""
    trusted = certificate(home)
    login = f"AUTH PLAIN {plain('joe', password)}"
    with submission(child(home, "EHLO=250-child/250 AUTH PLAIN")) as server, greeted(server) as client:
        assert offers(client) == [b"PIPELINING", b"STARTTLS"]
        assert client.command(login) == DENIED
        client.send(f"STARTTLS\r\n{login}\r\n{MAIL}\r\n{RCPT}\r\n".encode())
        assert client.reply() == READY
        secure = over_tls(client, trusted)
        assert secure.command(RCPT)[0].startswith(b"503 ")
        assert b"AUTH LOGIN PLAIN" in offers(secure)
        assert server.wait_log("Info::TLS::Plain_Dropped")
        assert not any("::AUTH::" in line for line in server.log())
        assert "AUTHUSER" not in environment(home)
        assert secure.command(login) == [b"235 ok, go ahead (#2.7.0)"]
        assert (environment(home)["AUTHUSER"], environment(home)["RELAYCLIENT"]) == ("joe", "")
        assert secure.command("QUIT") == [b"221 child bye"]
    assert heard(home) == b"EHLO foo\r\nQUIT\r\nEHLO foo\r\nQUIT\r\nEHLO foo\r\nQUIT\r\n"


@pytest.mark.parametrize("style", ["spamcontrol", "qmail-ldap", "json"])
def test_a_password_is_nowhere_else(submission: Submission, home: QmailHome, password: str, style: str) -> None:
    trusted = certificate(home)
    secret = base64.b64encode(password.encode()).decode()
    encoded = plain("joe", password)
    told = {"QMAILFORK_LOG": style, "LOGLEVEL": "4", "SMTPEXTFORKR": f"fakes/record {home.path / 'seen'}"}
    with submission(child(home), **told) as server, greeted(server) as client:
        client.command(f"AUTH PLAIN {encoded}")
        client.command("STARTTLS")
        secure = over_tls(client, trusted)
        secure.command(f"AUTH PLAIN {encoded}x")  # malformed
        secure.command(encoded)
        secure.command("AUTH LOGIN am9l")
        assert secure.command(secret) == [b"235 ok, go ahead (#2.7.0)"]
        secure.command("MAIL FROM:<joe@joedomain.net>")
        secure.command("RCPT TO:<joe@joedomain.net>")
        assert environment(home)["AUTHUSER"] == "joe"  # of the smtpd that started anew
        told_of = [*environments_and_arguments(), (home.path / "seen").read_bytes()]
        secure.command("QUIT")
        assert secure.rest() == b""
        log = "\n".join(server.log()).encode()
    forms = [form.encode() for form in (password, secret, encoded)]
    assert not [form for form in forms for text in (*told_of, log, heard(home)) if form in text]
    assert b"joe" in log


def test_nor_while_it_is_judged(submission: Submission, home: QmailHome, password: str) -> None:
    trusted, record = certificate(home), home.path / "told"
    encoded = plain("hang", password)
    waiting = {"QMAILFORK_CHECKPASSWORD": f"fakes/checkpassword {record}"}
    with submission(child(home), **waiting) as server, greeted(server) as client:
        client.command("STARTTLS")
        secure = over_tls(client, trusted)
        secure.send(f"AUTH PLAIN {encoded}\r\n".encode())
        wait_for(lambda: record.exists() and record.read_bytes().count(b"\0") == 3, what="the program to read")
        found = list(environments_and_arguments())
        (home.path / "told.go").touch()
        assert secure.reply() == [b"535 authentication failed (#5.7.8)"]
    assert any(str(record).encode() in text for text in found)
    assert not [text for text in found if password.encode() in text or encoded.encode() in text]
