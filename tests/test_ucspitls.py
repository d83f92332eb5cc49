"""TLS by the server in front, as sslserver -n does it (ucspi-tls(2)); the test stands in that server's place."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.listeners import LISTENERS
from tests.smtpclient import Client
from tests.support import PATIENCE, QmailHome, recorded, smtpd
from tests.test_wrapper_tls import child, environment, heard

FACTS = b"SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=TLS_AES_256_GCM_SHA384\0\0"


@contextmanager
def started(argv: list[str], home: QmailHome, **more: str) -> Iterator[tuple[Client, socket.socket, Client]]:
    """The client's raw connection, the control socket, and the client as it is behind TLS."""
    (raw, theirs), (control, its), (behind, inside) = (socket.socketpair() for _ in range(3))
    variables = {"UCSPITLS": "", "SSLCTLFD": str(its.fileno())}
    variables |= {name: str(inside.fileno()) for name in ("SSLREADFD", "SSLWRITEFD")}
    with closing(control), Client(raw) as client, Client(behind) as secured:
        with theirs, its, inside, (home.path / "log").open("wb") as log:
            process = subprocess.Popen(
                argv, env=home.environment(**variables, **more), stdin=theirs, stdout=theirs, stderr=log,
                pass_fds=(its.fileno(), inside.fileno()), cwd=home.path,
            )  # fmt: skip
        control.settimeout(PATIENCE)
        try:
            yield client, control, secured
        finally:
            process.kill()
            process.wait()


@pytest.fixture(params=["stdio", "handoff"])
def argv(request: pytest.FixtureRequest, home: QmailHome) -> list[str]:
    return smtpd() if request.param == "stdio" else LISTENERS.handoff(home)


def test_the_server_does_it(argv: list[str], home: QmailHome) -> None:
    seen = home.path / "seen"
    with started(argv, home, SMTPEXTFORK=f"fakes/record {seen}") as (client, control, secured):
        client.reply()
        assert client.command("EHLO foo")[-1] == b"250 STARTTLS"
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
        assert client.reply() == [b"220 ready for TLS"]
        assert control.recv(16) == b"Y"
        control.sendall(FACTS)
        assert secured.command("RCPT TO:<joe@joedomain.net>") == [b"503 MAIL first (#5.5.1)"]
        assert secured.command("MAIL FROM:<a@example.net>") == [b"250 ok"]
        assert secured.command("RCPT TO:<joe@joedomain.net>") == [b"250 ok"]
        assert secured.command("QUIT") == [b"221 mail.joedomain.net"]
        assert secured.rest() == b""
    assert "Accept::TLS::TLS_AES_256_GCM_SHA384 P:ESMTPS" in (home.path / "log").read_text()
    assert "SSL_PROTOCOL=TLSv1.3" in recorded(seen)["env"]


def test_in_front_of_another_smtpd(home: QmailHome) -> None:
    """That one hears plain SMTP, and its environment tells of TLS."""
    with started(smtpd(*child(home)), home) as (client, control, secured):
        client.reply()
        assert client.command("EHLO foo")[-1] == b"250 STARTTLS"
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
        assert client.reply() == [b"220 ready for TLS"]
        assert control.recv(16) == b"Y"
        assert environment(home).keys().isdisjoint({"UCSPITLS", "SSLCTLFD", "SSL_PROTOCOL"})
        control.sendall(FACTS)
        assert secured.command("RCPT TO:<joe@joedomain.net>") == [b"503 MAIL first (#5.5.1)"]
        assert secured.command("MAIL FROM:<a@example.net>") == [b"250 child mail"]
        assert environment(home)["SSL_PROTOCOL"] == "TLSv1.3"
        assert secured.command("QUIT") == [b"221 child bye"]
    assert heard(home) == b"EHLO foo\r\nQUIT\r\nMAIL FROM:<a@example.net>\r\nQUIT\r\n"


def test_a_server_that_does_not_come_to_it(argv: list[str], home: QmailHome) -> None:
    with started(argv, home) as (client, control, secured):
        client.reply()
        client.command("STARTTLS")
        assert control.recv(16) == b"Y"
        control.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
        assert secured.rest() == b""
    assert "Error::TLS::Handshake" in (home.path / "log").read_text()
