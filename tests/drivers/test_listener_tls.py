"""What the listener alone has of TLS."""

import os
import ssl

from tests.smtpclient import Client
from tests.support import QmailHome, qmailfork
from tests.tlsclient import NAME, certificate, over_tls
from tests.ucspi import listening


def test_smtps_by_option(home: QmailHome) -> None:
    trusted = certificate(home)
    argv = qmailfork("listen", "-1HR", "-l", NAME, "--workers", "1", "--smtps", "127.0.0.1", "0")
    env = {"PATH": os.defpath, "QMAILHOME": str(home.path)}
    with listening(argv, env, home.path / "log", "127.0.0.1") as server:
        with server.connect() as plain:
            client = over_tls(plain, trusted)
            assert client.reply() == [b"220 mail.joedomain.net ESMTP"]
            client.close()
        with server.connect() as plain:
            plain.send(b"EHLO foo\r\n")
            plain.rest()
            assert server.wait_log("Error::TLS::Handshake")


def test_a_client_relays_by_its_certificate(home: QmailHome) -> None:
    trusted = certificate(home)
    certificate(home, "joe@joedomain.net", "client.pem", "clientkey.pem", ["emailAddress=Joe@joedomain.net"])
    control = home.path / "control"
    home.control(tlsclients="joe@joedomain.net\n", **{"clientca.pem": (control / "client.pem").read_bytes()})
    argv = qmailfork("listen", "-1HR", "-l", NAME, "--workers", "1", "127.0.0.1", "0")
    env = {"PATH": os.defpath, "QMAILHOME": str(home.path)}
    with listening(argv, env, home.path / "log", "127.0.0.1") as server:
        for shown, reply in ((True, b"250 ok"), (False, b"553 sorry")):
            with server.connect() as plain:
                plain.reply()
                plain.command("STARTTLS")
                context = ssl.create_default_context(cafile=str(trusted))
                if shown:
                    context.load_cert_chain(control / "client.pem", control / "clientkey.pem")
                client = Client(context.wrap_socket(plain.socket, server_hostname=NAME), plain.seconds)
                client.command("MAIL FROM:<a@example.net>")
                assert client.command("RCPT TO:<x@elsewhere.org>")[0].startswith(reply)
                client.close()
        assert server.wait_log("Accept::AUTH::cert").endswith("?= 'Joe@joedomain.net'")
