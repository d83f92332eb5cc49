"""STARTTLS by every driver: offered, come to, refused, and nothing that came in plain behind it."""

import ssl
import subprocess
from collections.abc import Callable

import pytest

from tests.registry import OURS
from tests.servers import Driver, Talk
from tests.smtpclient import Client
from tests.support import QmailHome, recorded, wait_for
from tests.tlsclient import NAME, certificate, expired, over_tls

READY = [b"220 ready for TLS"]
MESSAGE = ["MAIL FROM:<a@example.net>", "RCPT TO:<joe@joedomain.net>", "DATA", "Subject: x\r\n\r\nhello\r\n."]
pytestmark = pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)


def offers(client: Client) -> list[bytes]:
    return [line[4:] for line in client.command("EHLO foo")[1:]]


def session_log(talk: Talk, part: str) -> str:
    """The first line of the log with `part`."""
    return wait_for(lambda: next((line for line in talk.log() if part in line), ""), what=part)


def send_message(client: Client) -> list[bytes]:
    return [client.command(line)[0][:3] for line in MESSAGE]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_message_over_tls(driver: Driver, version: ssl.TLSVersion, home: QmailHome) -> None:
    trusted = certificate(home)
    seen = home.path / "seen"
    with driver.open(home, home.environment(SMTPEXTFORK=f"fakes/record {seen}")) as talk:
        talk.client.reply()
        assert b"STARTTLS" in offers(talk.client)
        assert talk.client.command("STARTTLS") == READY
        client = over_tls(talk.client, trusted, maximum_version=version)
        assert client.command(MESSAGE[1]) == [b"503 MAIL first (#5.5.1)"]
        assert b"STARTTLS" not in offers(client)
        assert client.command("STARTTLS") == [b"503 TLS is active already (#5.5.1)"]
        assert send_message(client) == [b"250", b"250", b"354", b"250"]
        assert client.command("QUIT") == [b"221 mail.joedomain.net"]
        assert client.rest() == b""
        line = session_log(talk, "Accept::TLS::")
        assert session_log(talk, "Accept::RCPT::").split(" P:")[1].startswith("ESMTPS ")
    protocol = version.name.replace("_", ".")
    facts = dict(variable.split("=", 1) for variable in recorded(seen)["env"])
    assert facts["SSL_PROTOCOL"] == protocol
    assert f"Accept::TLS::{facts['SSL_CIPHER']} P:ESMTPS S:203.0.113.7:unknown != 'none'" in line


def test_received_says_so(driver: Driver, home: QmailHome) -> None:
    trusted = certificate(home)
    with driver.open(home, home.environment(QMAILQUEUE=str(home.path / "bin" / "qmail-queue"))) as talk:
        talk.client.reply()
        talk.client.command("STARTTLS")
        assert send_message(over_tls(talk.client, trusted))[-1] == b"250"
    assert b" with ESMTPS; " in home.messages()[0].message


def test_octet_by_octet(driver: Driver, home: QmailHome) -> None:
    """Handshake and record, each piece of which says nothing by itself."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=certificate(home))
    secure = context.wrap_bio(incoming, outgoing, server_hostname=NAME)
    with driver.open(home, home.environment()) as talk:
        talk.client.reply()
        assert talk.client.command("STARTTLS") == READY
        talk.client.socket.settimeout(talk.client.seconds)

        def carried(act: Callable[[], bytes | None]) -> bytes | None:
            while True:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    for octet in outgoing.read():
                        talk.client.send(bytes([octet]))
                    incoming.write(talk.client.socket.recv(65536))

        carried(secure.do_handshake)
        for line, reply in ((b"NOOP\r\n", b"250 ok\r\n"), (b"HELO foo\r\n", b"250 mail.joedomain.net\r\n")):
            secure.write(line)
            assert carried(lambda: secure.read(100)) == reply


def test_the_end_is_told_under_tls(driver: Driver, home: QmailHome) -> None:
    """Else a client could not tell it from one that somebody in between has made."""
    trusted = certificate(home)
    with driver.open(home, home.environment()) as talk:
        talk.client.reply()
        talk.client.command("STARTTLS")
        client = over_tls(talk.client, trusted)
        assert isinstance(client.socket, ssl.SSLSocket)
        client.socket.suppress_ragged_eofs = False
        assert client.command("QUIT") == [b"221 mail.joedomain.net"]
        assert client.rest() == b""


def test_a_client_that_tells_its_end_under_tls(driver: Driver, home: QmailHome) -> None:
    trusted = certificate(home)
    with driver.open(home, home.environment()) as talk:
        talk.client.reply()
        talk.client.command("STARTTLS")
        client = over_tls(talk.client, trusted)
        assert client.command("NOOP") == [b"250 ok"]
        assert isinstance(client.socket, ssl.SSLSocket)
        client.socket.settimeout(client.seconds)
        with client.socket.unwrap() as plain:  # once the server has told its own
            assert plain.recv(1) == b""


def test_what_came_in_plain_is_thrown_away(driver: Driver, home: QmailHome) -> None:
    trusted = certificate(home)
    with driver.open(home, home.environment()) as talk:
        talk.client.reply()
        evil = b"MAIL FROM:<evil@example.net>\r\n"
        talk.client.send(b"EHLO foo\r\n" + evil + b"STARTTLS\r\nRSET\r\n" + evil)
        replies = [talk.client.reply()[-1][:3] for _ in range(3)]
        assert replies == [b"250", b"250", b"220"]
        client = over_tls(talk.client, trusted)
        assert client.command("RCPT TO:<joe@joedomain.net>") == [b"503 MAIL first (#5.5.1)"]
        assert "'36'" in session_log(talk, "Info::TLS::Plain_Dropped")


def test_plain_words_after_the_reply_end_the_session(driver: Driver, home: QmailHome) -> None:
    certificate(home)
    with driver.open(home, home.environment()) as talk:
        talk.client.reply()
        assert talk.client.command("STARTTLS") == READY
        talk.client.send(b"MAIL FROM:<evil@example.net>\r\n" * 10)
        assert b"250" not in talk.client.rest()
        assert session_log(talk, "Error::TLS::Handshake")


def test_large_message_and_pipelining(driver: Driver, home: QmailHome) -> None:
    trusted = certificate(home)
    body = b"x" * 76 + b"\r\n"
    with driver.open(home, home.environment(QMAILQUEUE=str(home.path / "bin" / "qmail-queue"))) as talk:
        talk.client.reply()
        talk.client.command("STARTTLS")
        client = over_tls(talk.client, trusted)
        client.send(b"EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nDATA\r\n")
        assert [client.reply()[-1][:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
        client.send(body * 20000 + b".\r\n" + b"NOOP\r\n" * 3000)
        assert [client.reply()[0][:3] for _ in range(3001)] == [b"250"] * 3001
    assert home.messages()[0].body == body.replace(b"\r\n", b"\n") * 20000


def mismatched(home: QmailHome) -> None:
    certificate(home)
    certificate(home, file="other.pem")


def emptied(home: QmailHome) -> None:
    certificate(home)
    home.control(**{"servercert.pem": "nothing"})


def of_a_curve_that_tls_has_not(home: QmailHome) -> None:
    control = home.path / "control"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes"]
    files = ["-keyout", str(control / "serverkey.pem"), "-out", str(control / "servercert.pem")]
    made = ["openssl", "req", "-x509", *key, *files, "-subj", "/CN=x", "-days", "2"]
    subprocess.run(made, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (mismatched, "key?values?mismatch"),
        (expired, "the?certificate?has?expired"),
        (of_a_curve_that_tls_has_not, "no?shared?cipher"),
    ],
)
def test_a_certificate_that_turns_out_bad(
    driver: Driver, home: QmailHome, spoil: Callable[[QmailHome], None], reason: str
) -> None:
    spoil(home)
    with driver.open(home, home.environment(QMAILQUEUE=str(home.path / "bin" / "qmail-queue"))) as talk:
        talk.client.reply()
        assert talk.client.command("STARTTLS") == [b"454 TLS not available (#4.7.0)"]
        line = session_log(talk, "Error::TLS::Certificate")
        assert "servercert.pem" in line
        assert reason in line
        assert send_message(talk.client)[-1] == b"250"
        assert sum("::TLS::" in line for line in talk.log()) == 1


def test_a_certificate_that_is_none_is_not_offered(driver: Driver, home: QmailHome) -> None:
    emptied(home)
    with driver.open(home, home.environment()) as talk:
        talk.client.reply()
        assert b"STARTTLS" not in offers(talk.client)
        assert b"STARTTLS" not in offers(talk.client)
        assert "holds?no?certificate" in session_log(talk, "Error::TLS::Certificate")
        assert sum("::TLS::" in line for line in talk.log()) == 1


@pytest.mark.parametrize("variable", [{"DISABLETLS": "1"}, {"UCSPITLS": "-"}])
def test_switched_off(driver: Driver, home: QmailHome, variable: dict[str, str]) -> None:
    certificate(home)
    with driver.open(home, home.environment(**variable)) as talk:
        talk.client.reply()
        assert b"STARTTLS" not in offers(talk.client)
        assert talk.client.command("STARTTLS") == [b"502 unimplemented (#5.5.1)"]


@pytest.mark.parametrize("variable", [{"FORCETLS": "1"}, {"TLSREQUIRED": "1"}, {"UCSPITLS": "!"}])
def test_required(driver: Driver, home: QmailHome, variable: dict[str, str]) -> None:
    trusted = certificate(home)
    with driver.open(home, home.environment(**variable)) as talk:
        talk.client.reply()
        assert talk.client.command(MESSAGE[0]) == [b"535 STARTTLS required (#5.7.1)"]
        assert session_log(talk, "Reject::TLS::missing").endswith("P:ESMTP S:203.0.113.7:unknown H:")
        assert talk.client.command("STARTTLS x") == [b"501 no parameters allowed (#5.5.4)"]
        talk.client.command("STARTTLS")
        assert over_tls(talk.client, trusted).command(MESSAGE[0]) == [b"250 ok"]


def test_with_the_first_octet(driver: Driver, home: QmailHome) -> None:
    trusted = certificate(home)
    with driver.open(home, home.environment(SMTPS="1")) as talk:
        client = over_tls(talk.client, trusted)
        assert client.reply() == [b"220 mail.joedomain.net ESMTP"]
        assert send_message(client)[:2] == [b"250", b"250"]


def test_a_certificate_by_the_name_that_the_client_calls(driver: Driver, home: QmailHome) -> None:
    certificate(home)
    other = certificate(home, "mx.example.org", "servercert.mx.example.org.pem", "serverkey.mx.example.org.pem")
    with driver.open(home, home.environment()) as talk:
        talk.client.reply()
        talk.client.command("STARTTLS")
        assert over_tls(talk.client, other, "mx.example.org").command("NOOP") == [b"250 ok"]


@pytest.mark.parametrize(("shows", "reply"), [(True, b"250 ok"), (False, b"553 sorry")])
def test_a_client_relays_by_its_certificate(driver: Driver, home: QmailHome, shows: bool, reply: bytes) -> None:
    trusted = certificate(home)
    certificate(home, "joe@joedomain.net", "client.pem", "clientkey.pem", ["emailAddress=Joe@joedomain.net"])
    control = home.path / "control"
    home.control(tlsclients="joe@joedomain.net\n", **{"clientca.pem": (control / "client.pem").read_bytes()})
    with driver.open(home, home.environment()) as talk:
        talk.client.reply()
        talk.client.command("STARTTLS")
        context = ssl.create_default_context(cafile=str(trusted))
        if shows:
            context.load_cert_chain(control / "client.pem", control / "clientkey.pem")
        client = Client(context.wrap_socket(talk.client.socket, server_hostname=NAME), talk.client.seconds)
        client.command("MAIL FROM:<a@example.net>")
        assert client.command("RCPT TO:<x@elsewhere.org>")[0].startswith(reply)
        client.close()
        if shows:
            assert session_log(talk, "Accept::AUTH::cert").endswith("?= 'Joe@joedomain.net'")
