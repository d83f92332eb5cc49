"""The files and variables of TLS: certificates that change while a server runs, ciphers, parameters, clients' CA."""

import ssl
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.smtpclient import Client
from tests.support import QmailHome, recorded
from tests.tlsclient import NAME, certificate, expired
from tests.ucspi import Server
from tests.warm import BOTH, NO_NAMES, Starter, send_message, warm

each_start = pytest.mark.parametrize("start", BOTH, ids=lambda start: start.__name__)
DHE = "DHE-RSA-AES256-GCM-SHA384"


def begun(client: Client) -> Client:
    """The same one where STARTTLS was let through."""
    client.reply()
    assert client.command("STARTTLS") == [b"220 ready for TLS"]
    return client


def trusting(ciphers: str = "DEFAULT", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    """A client's side that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    context.set_ciphers(ciphers)
    return context


def shaken(server: Server, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection after a handshake. Raises ssl.SSLError."""
    plain = begun(server.connect())
    plain.socket.settimeout(plain.seconds)
    return context.wrap_socket(plain.socket, server_hostname=NAME)


def fingerprint(server: Server) -> str:
    """That of the certificate that the server shows."""
    with shaken(server, trusting()) as client:
        return sha256(client.getpeercert(binary_form=True) or b"").hexdigest()


def of_file(path: Path) -> str:
    return sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest()


def chosen_cipher(server: Server, context: ssl.SSLContext) -> str:
    with shaken(server, context) as client:
        return (client.cipher() or ("",))[0]


def test_a_certificate_that_is_replaced_is_found(home: QmailHome) -> None:
    path = certificate(home)
    with warm(home, *NO_NAMES) as server:
        seen = [of_file(path)]
        assert fingerprint(server) == seen[0]
        for _ in range(2):
            seen.append(of_file(certificate(home)))
            assert [fingerprint(server) for _ in range(4)] == [seen[-1]] * 4
        assert len(set(seen)) == 3


def test_a_certificate_by_name_that_comes_and_changes(home: QmailHome) -> None:
    usual = certificate(home)
    with warm(home, *NO_NAMES, "--workers", "1") as server:
        assert fingerprint(server) == of_file(usual)
        for _ in range(2):
            named = certificate(home, NAME, f"servercert.{NAME}.pem", f"serverkey.{NAME}.pem")
            assert fingerprint(server) == of_file(named)
        named.unlink()
        assert fingerprint(server) == of_file(usual)


def gone(home: QmailHome) -> None:
    (home.path / "control" / "servercert.pem").unlink()


def unreadable(home: QmailHome) -> None:
    gone(home)
    (home.path / "control" / "servercert.pem").mkdir()


def broken(home: QmailHome) -> None:
    home.control(**{"servercert.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"})


def of_another_key(home: QmailHome) -> None:
    certificate(home, key="other.pem")


@pytest.mark.parametrize("spoil", [gone, unreadable, broken, of_another_key, expired])
def test_a_certificate_that_turns_bad_while_the_listener_runs(
    spoil: Callable[[QmailHome], None], home: QmailHome
) -> None:
    """One log line for each session, mail in plain goes on, and TLS comes back with a good one."""
    trusted = certificate(home)
    one = "--workers", "1"  # which has met the good one: without any at its start, it would know no TLS
    with warm(home, *NO_NAMES, *one, QMAILQUEUE=str(home.path / "bin" / "qmail-queue")) as server:
        assert fingerprint(server) == of_file(trusted)
        spoil(home)
        for _ in range(2):
            with server.connect() as client:
                client.reply()
                offered = any(b"STARTTLS" in line for line in client.command("EHLO foo"))
                assert offered == (spoil in (broken, of_another_key, expired))
                for _ in range(2):
                    assert client.command("STARTTLS") == [b"454 TLS not available (#4.7.0)"]
                client.command("QUIT")
        with server.connect() as client:
            assert send_message(client).startswith(b"250 ok")
        faults = [line for line in server.log() if "Error::TLS" in line]
        assert [("servercert.pem" in line, "Error::TLS::Certificate" in line) for line in faults] == [(True, True)] * 2
        if trusted.is_dir():
            trusted.rmdir()
        mended = of_file(certificate(home))
        assert fingerprint(server) == mended


@each_start
def test_ciphers_of_the_operator(start: Starter, home: QmailHome) -> None:
    certificate(home)
    only = "ECDHE-ECDSA-AES128-GCM-SHA256"
    with start(home, *NO_NAMES, CIPHERS=only) as server:
        assert chosen_cipher(server, trusting("ALL")) == only
        with pytest.raises(ssl.SSLError):
            shaken(server, trusting("ECDHE-ECDSA-AES256-GCM-SHA384"))


def test_ciphers_of_the_control_file(home: QmailHome) -> None:
    certificate(home)
    home.control(tlsserverciphers="ECDHE-ECDSA-CHACHA20-POLY1305\n")
    with warm(home, *NO_NAMES) as server:
        assert chosen_cipher(server, trusting("ALL")) == "ECDHE-ECDSA-CHACHA20-POLY1305"


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [("CIPHERS", "no-such", "CIPHERS"), ("DHFILE", "control/me", "control/me"), ("DHFILE", "none", "none")],
)
def test_a_variable_that_is_wrong(variable: str, value: str, named: str, home: QmailHome) -> None:
    certificate(home)
    with warm(home, *NO_NAMES, **{variable: value}) as server, server.connect() as client:
        client.reply()
        assert client.command("STARTTLS") == [b"454 TLS not available (#4.7.0)"]
        assert client.command("HELO foo")[0].startswith(b"250")
        assert f"{named}:" in server.wait_log("Error::TLS::Certificate")


@each_start
def test_parameters_for_dhe(start: Starter, home: QmailHome) -> None:
    rsa_certificate(home)
    control = home.path / "control"
    generated = ["-algorithm", "DH", "-pkeyopt", "group:ffdhe3072", "-genparam", "-out", str(control / "dh.pem")]
    openssl("genpkey", *generated)
    with start(home, *NO_NAMES, DHFILE="control/dh.pem") as server:
        told = by_openssl(server, DHE)
        assert f"Ciphersuite: {DHE}" in told
        assert "Server Temp Key: DH, 3072 bits" in told


def by_openssl(server: Server, ciphers: str) -> str:
    """What openssl's client tells of a handshake with these ciphers."""
    address = f"{server.host}:{server.port}"
    argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", address, "-tls1_2", "-cipher", ciphers, "-brief"]
    return subprocess.run(argv, input="QUIT\n", capture_output=True, text=True, check=False).stderr


@each_start
def test_no_dhe_without_parameters(start: Starter, home: QmailHome) -> None:
    rsa_certificate(home)
    with start(home, *NO_NAMES, CIPHERS="ALL") as server:
        assert "handshake failure" in by_openssl(server, DHE)
        assert server.wait_log("Error::TLS::Handshake").endswith("'no?shared?cipher'")
        assert "Ciphersuite: ECDHE-RSA" in by_openssl(server, f"{DHE}:ECDHE-RSA-AES256-GCM-SHA384")


def rsa_certificate(home: QmailHome) -> None:
    control = home.path / "control"
    files = ["-keyout", str(control / "serverkey.pem"), "-out", str(control / "servercert.pem")]
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-subj", f"/CN={NAME}", "-days", "2")


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def signed_client(home: QmailHome, name: str) -> tuple[Path, Path, Path]:
    """The certificate of a CA, and a client's with its key that the CA signed."""
    control = home.path / "control"
    ca = certificate(home, f"{name} CA", f"{name}-ca.pem", f"{name}-cakey.pem")
    request, shown, key = (control / f"{name}-{file}.pem" for file in ("request", "client", "key"))
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(request),
            "-subj", "/CN=mx.example.net")  # fmt: skip
    signing = ["-CA", str(ca), "-CAkey", str(control / f"{name}-cakey.pem"), "-CAcreateserial", "-days", "2"]
    openssl("x509", "-req", "-in", str(request), *signing, "-out", str(shown))
    return ca, shown, key


@each_start
def test_a_client_certificate_signed_by_the_cafile(start: Starter, home: QmailHome) -> None:
    certificate(home)
    ca, shown, key = signed_client(home, "ours")
    _, foreign, foreign_key = signed_client(home, "others")
    record = home.path / "seen"
    settings = {"CAFILE": str(ca), "UCSPITLS": "@", "SMTPEXTFORK": f"fakes/record {record}"}
    with start(home, *NO_NAMES, **settings) as server:
        context = trusting()
        context.load_cert_chain(shown, key)
        client = Client(shaken(server, context))
        client.command("MAIL FROM:<a@example.net>")
        assert client.command("RCPT TO:<joe@joedomain.net>") == [b"250 ok"]
        facts = dict(variable.split("=", 1) for variable in recorded(record)["env"])
        assert (facts["SSL_CLIENT_VERIFY"], facts["SSL_CLIENT_S_DN_CN"]) == ("SUCCESS", "mx.example.net")
        context = trusting()
        context.load_cert_chain(foreign, foreign_key)
        for refused in (context, trusting()):
            with pytest.raises(ssl.SSLError):
                shaken(server, refused)
