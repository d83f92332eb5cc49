"""AUTH by the clients that people have, through the listener and through tcpserver."""

import base64
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from smtplib import SMTP, SMTPAuthenticationError

import pytest

from tests.mailsite import WRAPPER
from tests.servers import serve
from tests.support import QmailHome, qmailfork, smtpd
from tests.tlsclient import NAME, certificate
from tests.ucspi import Server, listening, tcpserver

SETTINGS = {"SMTPAUTH": "+cram", "QMAILFORK_CHECKPASSWORD": "fakes/checkpassword", "QMAILFORK_AUTHDELAY": "0"}


@contextmanager
def listener(home: QmailHome, env: Mapping[str, str]) -> Iterator[Server]:
    argv = qmailfork("listen", "-1HR", "-l", NAME, "--workers", "1", "127.0.0.1", "0")
    with listening(argv, env, home.path / "log", "127.0.0.1") as server:
        yield server


@contextmanager
def under_tcpserver(home: QmailHome, env: Mapping[str, str]) -> Iterator[Server]:
    with tcpserver(smtpd(), env, home.path) as server:
        yield server


@pytest.fixture(params=[listener, under_tcpserver], ids=lambda start: start.__name__)
def server(request: pytest.FixtureRequest, home: QmailHome) -> Iterator[Server]:
    """A submission service with a certificate."""
    certificate(home)
    queue = {"QMAILQUEUE": str(home.path / "bin" / "qmail-queue")}
    session = home.environment(**SETTINGS, **queue)
    env = {name: value for name, value in session.items() if not name.startswith("TCP") and name != "PROTO"}
    with request.param(home, env) as server:
        yield server


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks(server: Server, home: QmailHome, mechanism: str) -> None:
    whom = ["--to", "b@elsewhere.org", "--from", "joe@joedomain.net", "--tls"]
    who = ["--auth", mechanism, "--auth-user", "joe", "--auth-password", "secret"]
    argv = ["swaks", "--server", server.host, "--port", str(server.port), *whom, *who]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert b"(joe@127.0.0.1)\n  by " in home.messages()[0].message
    assert server.wait_log(f"Accept::AUTH::{mechanism.lower()} P:ESMTPSA").endswith("?= 'joe'")


def test_smtplib(server: Server) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with SMTP(server.host, server.port) as client:
        client.starttls(context=context)
        with pytest.raises(SMTPAuthenticationError) as refused:
            client.login("joe", "wrong")
        assert refused.value.smtp_code == 535
    with SMTP(server.host, server.port) as client:
        client.starttls(context=context)
        assert client.login("joe", "secret")[0] == 235
        assert client.sendmail("joe@joedomain.net", ["b@elsewhere.org"], "Subject: x\n\nhello\n") == {}


def test_curl(server: Server, home: QmailHome) -> None:
    url = f"smtp://{server.host}:{server.port}/foo"
    who = ["--user", "joe:secret", "--mail-from", "joe@joedomain.net", "--mail-rcpt", "b@elsewhere.org"]
    argv = ["curl", "-sS", "--insecure", "--ssl-reqd", url, *who, "--upload-file", "-"]
    done = subprocess.run(argv, input="Subject: x\r\n\r\nhello\r\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert home.messages()[0].recipients == (b"b@elsewhere.org",)


def test_msmtp(server: Server, home: QmailHome) -> None:
    where = [f"--host={server.host}", f"--port={server.port}", "--tls=on", "--tls-certcheck=off"]
    who = ["--auth=cram-md5", "--user=joe", "--passwordeval=echo secret", "--from=joe@joedomain.net"]
    argv = ["msmtp", "--file=/dev/null", *where, *who, "b@elsewhere.org"]
    done = subprocess.run(argv, input="Subject: x\n\nhello\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert home.messages()[0].recipients == (b"b@elsewhere.org",)


@pytest.mark.skipif(os.geteuid() != 0, reason="checkpw becomes another user")
def test_a_checkpassword_program_of_others(home: QmailHome) -> None:
    """Debian's checkpw, with an account database of its own."""
    person = home.path / "joe"
    (person / "Maildir").mkdir(parents=True)
    (person / "Maildir" / ".password").write_text("secret\n")
    (person / "Maildir" / ".password").chmod(0o600)
    (home.path / "passwd").write_text(f"joe:x:0:0::{person}:/bin/sh\n")
    (home.path / "group").write_text("root:x:0:\n")
    accounts = f"NSS_WRAPPER_PASSWD={home.path}/passwd NSS_WRAPPER_GROUP={home.path}/group LD_PRELOAD={WRAPPER}"
    checkpw = f"/usr/bin/env {accounts} {shutil.which('checkpw')} true"
    env = home.environment(SMTPAUTH="", QMAILFORK_AUTHINPLAIN="1", QMAILFORK_CHECKPASSWORD=checkpw)
    with serve(smtpd(), home, {**env, "QMAILFORK_AUTHDELAY": "0"}) as talk:
        talk.client.reply()
        for password, code in ((b"wrong", b"535"), (b"secret", b"235")):
            credentials = base64.b64encode(b"\0joe\0" + password)
            assert talk.client.command(b"AUTH PLAIN " + credentials)[0][:3] == code, talk.log()
