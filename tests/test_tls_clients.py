"""TLS by the clients that people have, through the listener and through tcpserver, and clients that stall."""

import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tests.support import PATIENCE, QmailHome, wait_for
from tests.tlsclient import NAME, certificate, over_tls
from tests.ucspi import Server
from tests.warm import BOTH, NO_NAMES, Starter, children, said, send_message, warm

ENVELOPE = ["EHLO foo", "MAIL FROM:<a@example.net>", "RCPT TO:<joe@joedomain.net>", "DATA"]
MESSAGE = [*ENVELOPE, "Subject: x\n\nhello\n.", "QUIT"]
OBSOLETE = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
each_start = pytest.mark.parametrize("start", BOTH, ids=lambda start: start.__name__)
SECONDS = 2


def s_client(server: Server, *options: str, trusted: Path | None = None) -> list[str]:
    """openssl's client, which sends what comes on its descriptor 0 once it is under TLS."""
    trust = ["-CAfile", str(trusted), "-verify_return_error", "-verify_hostname", NAME] if trusted else []
    where = ["-starttls", "smtp", "-connect", f"{server.host}:{server.port}", "-servername", NAME]
    return ["openssl", "s_client", *where, *trust, *options]


def shaken(server: Server, *options: str) -> bool:
    """Whether openssl's client comes to TLS with these options."""
    argv = s_client(server, "-brief", *options)
    done = subprocess.run(argv, input="QUIT\n", capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ("CONNECTION ESTABLISHED" in done.stderr) == (done.returncode == 0), done.stderr
    return done.returncode == 0


@each_start
@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_a_message_by_openssl(start: Starter, version: str, home: QmailHome) -> None:
    trusted = certificate(home)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with (
        start(home, *NO_NAMES, QMAILQUEUE=str(home.path / "bin" / "qmail-queue")) as server,
        subprocess.Popen(s_client(server, "-quiet", "-crlf", f"-tls{version}", trusted=trusted), **pipes) as client,
    ):
        codes = []
        for line in MESSAGE:
            client.stdin.write(line + "\n")
            client.stdin.flush()
            reply = client.stdout.readline()
            while reply[3:4] == "-":
                reply = client.stdout.readline()
            codes.append(reply[:3])
        assert codes == ["250", "250", "250", "354", "250", "221"]
        assert client.wait(PATIENCE) == 0
    message = home.messages()[0]
    assert b" with ESMTPS; " in message.message
    assert message.body == b"Subject: x\n\nhello\n"


@each_start
def test_obsolete_versions_and_ciphers_are_refused(start: Starter, home: QmailHome) -> None:
    certificate(home)
    with start(home, *NO_NAMES) as server:
        for version in ("-tls1", "-tls1_1"):
            assert not shaken(server, version, "-cipher", OBSOLETE)
        for weak in ("eNULL", "aNULL", "AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-CCM8"):
            assert not shaken(server, "-tls1_2", "-cipher", f"{weak}:@SECLEVEL=0"), weak
        assert shaken(server, "-tls1_2", "-cipher", OBSOLETE)
        assert sum("'unsupported?protocol'" in line for line in server.log()) == 2
        assert sum("'no?shared?cipher'" in line for line in server.log()) == 5


@each_start
@pytest.mark.parametrize("said_so_far", [0, 40])
def test_a_handshake_that_stalls(start: Starter, said_so_far: int, home: QmailHome) -> None:
    """It ends after timeoutsmtpd, and holds up nobody."""
    trusted = certificate(home)
    home.control(timeoutsmtpd=f"{SECONDS}\n")
    queue = str(home.path / "bin" / "qmail-queue")
    with start(home, *NO_NAMES, QMAILQUEUE=queue) as server, server.connect() as stalled:
        began = time.monotonic()
        assert said(stalled, "STARTTLS") == b"220 ready for TLS"
        stalled.send(hello()[:said_so_far])
        with server.connect() as plain, server.connect() as other:
            other.reply()
            other.command("STARTTLS")
            assert over_tls(other, trusted).command("NOOP") == [b"250 ok"]
            assert send_message(plain).startswith(b"250 ok")
        stalled.rest()
        assert time.monotonic() - began >= SECONDS
        assert server.wait_log("Error::TLS::Handshake").endswith("'timeout'")


def test_a_handshake_that_comes_octet_by_octet_gets_no_more_time(home: QmailHome) -> None:
    certificate(home)
    home.control(timeoutsmtpd=f"{SECONDS}\n")
    with warm(home, *NO_NAMES) as server, server.connect() as slow:
        assert said(slow, "STARTTLS") == b"220 ready for TLS"
        octets = iter(hello())

        def gone() -> bool:
            slow.send(bytes([next(octets)]))
            return any("Error::TLS::Handshake" in line for line in server.log())

        wait_for(gone, what="the end of the session")
        assert server.wait_log("Error::TLS::Handshake").endswith("'timeout'")


def hello() -> bytes:
    """What a client says first (ClientHello)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_sessions_under_tls_cost_no_process_and_no_thread(home: QmailHome) -> None:
    trusted = certificate(home)
    with warm(home, *NO_NAMES, "--workers", "1") as server:
        worker = wait_for(lambda: children(server.process.pid), what="a worker")[-1]
        clients = [server.connect() for _ in range(20)]
        for client in clients:
            client.reply()
        before = threads(worker)
        for client in clients:
            client.command("STARTTLS")
        secure = [over_tls(client, trusted) for client in clients]
        assert {client.command("NOOP")[0] for client in secure} == {b"250 ok"}
        assert (children(worker), threads(worker)) == ([], before)
        for client in secure:
            client.close()


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@each_start
def test_postfix_trusts_it(start: Starter, home: QmailHome) -> None:
    """posttls-finger: the handshake of postfix's client, at its level "secure"."""
    trusted = certificate(home)
    settings = home.path / "postfix"
    settings.mkdir()
    (settings / "main.cf").write_text(f"compatibility_level = 3.6\nqueue_directory = {settings}\n")
    with start(home, *NO_NAMES) as server:
        how = ["-c", "-l", "secure", "-F", str(trusted)]
        argv = ["/usr/sbin/posttls-finger", *how, f"[{server.host}]:{server.port}", NAME]
        done = subprocess.run(argv, env={"MAIL_CONFIG": str(settings)}, capture_output=True, text=True, check=False)
        told = done.stdout + done.stderr
        assert done.returncode == 0, told
        assert f"Verified TLS connection established to {server.host}" in told
