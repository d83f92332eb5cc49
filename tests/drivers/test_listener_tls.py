"""What the listener alone has of TLS."""

import os

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
