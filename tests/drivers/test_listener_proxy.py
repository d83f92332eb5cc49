"""The listener behind a load balancer: by raw octets, and by HAProxy."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.smtpclient import Client
from tests.support import PATIENCE, QmailHome, qmailfork, recorded, running, wait_for
from tests.system.test_proxyheader import ADDRESSES, ADDRESSES6, NONE, entry, tls, v2
from tests.test_wrapper_tls import child
from tests.test_wrapper_tls import environment as child_environment
from tests.tlsclient import NAME, certificate, over_tls
from tests.ucspi import Server, listening, tcprules
from tests.warm import ENVELOPE, NO_NAMES, from_address, said, warm

PROXY = ("--proxy", "127.0.0.1,2001:db8::/32")
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 43769 25\r\n"
V2 = v2(0x21, 0x11, ADDRESSES)
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") or "haproxy"


def recording(home: QmailHome) -> dict[str, str]:
    """A checker that records what it is told."""
    return {"SMTPEXTFORK": f"fakes/record {home.path}/record"}


def variables(client: Client, home: QmailHome) -> dict[str, str]:
    """What a checker sees of this client."""
    record = home.path / "record"
    assert said(client, *ENVELOPE) == b"250 ok"
    found = dict(variable.split("=", 1) for variable in recorded(record)["env"])
    record.unlink()
    return found


@pytest.mark.parametrize("header", [V1, V2, v2(0x21, 0x11, ADDRESSES + entry(5, b"x" * 500))], ids=["1", "2", "2+"])
def test_split_at_each_octet(header: bytes, home: QmailHome) -> None:
    with warm(home, *NO_NAMES, *PROXY, "--workers", "1", **recording(home)) as server:
        for at in range(0, len(header) + 1, max(len(header) // 40, 1)):
            with server.connect() as client:
                client.send(header[:at])
                client.send(header[at:])
                seen = variables(client, home)
        assert (seen["TCPREMOTEIP"], seen["TCPREMOTEPORT"]) == ("203.0.113.7", "43769")
        assert (seen["TCPLOCALIP"], seen["TCPLOCALPORT"], seen["PROTO"]) == ("192.0.2.1", "25", "TCP")
        with server.connect() as client:  # what stands behind it in the same packet is the session's
            client.send(header + b"HELO foo\r\nQUIT\r\n")
            assert [client.reply()[0][:3] for _ in range(3)] == [b"220", b"250", b"221"]
        with server.connect() as client:
            for at in range(len(header)):
                client.send(header[at : at + 1])
            assert said(client, "HELO foo").startswith(b"250")


def test_version_6_of_ip(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, *PROXY, **recording(home)) as server:
        for header in (b"PROXY TCP6 2001:db8::7 2001:db8::1 43769 25\r\n", v2(0x21, 0x21, ADDRESSES6)):
            with server.connect() as client:
                client.send(header)
                seen = variables(client, home)
            assert (seen["TCPREMOTEIP"], seen["TCPLOCALIP"], seen["PROTO"]) == ("2001:db8::7", "2001:db8::1", "TCP6")


def test_an_ipv4_client_of_the_balancers_ipv6_socket(home: QmailHome) -> None:
    rules = tcprules(home.path, "203.0.113.8:deny\n:allow\n")
    mapped = bytes.fromhex("00000000000000000000ffffcb00710700000000000000000000ffffc0000201aaf90019")
    with warm(home, *NO_NAMES, *PROXY, "-x", str(rules), **recording(home)) as server:
        for header in (b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:c000:201 43769 25\r\n", v2(0x21, 0x21, mapped)):
            with server.connect() as client:
                client.send(header)
                seen = variables(client, home)
            assert (seen["TCPREMOTEIP"], seen["TCPLOCALIP"], seen["PROTO"]) == ("203.0.113.7", "192.0.2.1", "TCP")
        with server.connect() as client:
            client.send(b"PROXY TCP6 ::ffff:203.0.113.8 ::ffff:c000:201 43769 25\r\n")
            assert client.rest() == b""


def test_the_balancer_itself(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, *PROXY, **recording(home)) as server:
        for header in (b"PROXY UNKNOWN\r\n", v2(0x20, 0x00, b""), v2(0x20, 0x11, ADDRESSES)):
            with server.connect() as client:
                client.send(header)
                seen = variables(client, home)
                assert seen["TCPREMOTEPORT"] == str(client.socket.getsockname()[1])
            assert (seen["TCPREMOTEIP"], seen["TCPLOCALPORT"]) == ("127.0.0.1", str(server.port))


def test_rules_and_log_have_the_true_client(home: QmailHome) -> None:
    rules = tcprules(home.path, '203.0.113.:allow,RELAYCLIENT=""\n127.:deny\n')
    with warm(home, *NO_NAMES, *PROXY, "-v", "-x", str(rules)) as server:
        with server.connect() as client:
            client.send(V2)
            assert said(client, *ENVELOPE[:2], "RCPT TO:<x@elsewhere.example>") == b"250 ok"
        with server.connect() as client:
            client.send(b"PROXY UNKNOWN\r\n")
            assert client.rest() == b""
        assert server.wait_log(" from 203.0.113.7")
        assert server.wait_log("tcpserver: ok").endswith("mail.joedomain.net:192.0.2.1:25 :203.0.113.7::43769")
        assert server.wait_log("tcpserver: deny").split()[-1].startswith(":127.0.0.1::")
        wait_for(lambda: sum(": end " in line for line in server.log()) == 2, what="the ends")
        assert server.log()[-1] == "tcpserver: status: 0/40"


def test_per_ip_counts_the_true_client(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, *PROXY, "--per-ip", "1") as server, server.connect() as first:
        first.send(V1)
        assert first.reply()[0].startswith(b"220")
        with server.connect() as second:
            second.send(V2)
            assert second.reply()[0].startswith(b"421")
        with server.connect() as other:
            other.send(V1.replace(b"113.7", b"113.8"))
            assert other.reply()[0].startswith(b"220")


def test_nobody_else_is_believed(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--proxy", "127.0.0.1", "--proxy", "192.0.2.0/24", **recording(home)) as server:
        with from_address(server, "127.0.0.2") as client:
            assert variables(client, home)["TCPREMOTEIP"] == "127.0.0.2"
        with from_address(server, "127.0.0.2") as client:
            client.send(V1)
            assert [client.reply()[0][:3] for _ in range(2)] == [b"220", b"502"]
        assert not [line for line in server.log() if "PROXY" in line]


def test_what_is_no_header_is_closed_with_one_line(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, *PROXY, "-v", "--workers", "1") as server:
        for count, octets in enumerate((*NONE, b"", V2[:-1], V1[:-2]), start=1):
            with server.connect() as client:
                client.send(octets)
                if octets not in NONE:
                    client.half_close()
                assert client.rest() == b""
            wait_for(lambda expected=count: len(server.log()) == expected + 1, what="a line")  # type: ignore[misc]
        start = "tcpserver: warning: dropping connection from 127.0.0.1: PROXY header: "
        assert all(line.startswith(start) for line in server.log()[1:])
        assert server.log()[-1] == start + "connection closed"
        with server.connect() as client:
            client.send(V1)
            assert client.reply()[0].startswith(b"220")
        assert server.wait_log("status: 1/40")


@pytest.mark.parametrize("part", [b"", V1[:20]])
def test_one_that_is_slow(part: bytes, home: QmailHome) -> None:
    with warm(home, *NO_NAMES, *PROXY, "--workers", "1", "--proxy-seconds", "0.3") as server:
        with server.connect() as slow, server.connect() as other:
            slow.send(part)
            other.send(V1)
            assert other.reply()[0].startswith(b"220")
            assert slow.rest() == b""
        assert server.wait_log("PROXY header").endswith("PROXY header: timeout")


def test_one_that_resets_the_connection_gives_its_place_back(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, *PROXY, "--workers", "1", "-c", "1") as server:
        with server.connect() as client:
            client.send(V1[:9])
            client.reset()
        with server.connect() as client:
            client.send(V1)
            assert client.reply()[0].startswith(b"220 ")
        server.wait_log("PROXY header: connection reset by peer")


def test_the_grace_is_over_for_a_header_too(home: QmailHome) -> None:
    options = ("--workers", "1", "--proxy-seconds", "1000", "--grace", "0.3")
    with warm(home, *NO_NAMES, *PROXY, *options) as server, server.connect() as slow, server.connect() as other:
        other.send(V1)
        assert other.reply()[0].startswith(b"220")
        server.process.terminate()
        assert slow.rest() == b""
        assert server.process.wait(PATIENCE) == 0


def test_the_balancers_tls(home: QmailHome) -> None:
    """TLS that ended there counts as TLS: no STARTTLS, FORCETLS is content, ESMTPS."""
    certificate(home)
    facts = tls(7, 0, entry(0x21, b"TLSv1.3"), entry(0x22, b"joe"), entry(0x23, b"TLS_AES_128_GCM_SHA256"))
    with warm(home, *NO_NAMES, *PROXY, FORCETLS="1", **recording(home)) as server:
        with server.connect() as client:
            client.send(v2(0x21, 0x11, ADDRESSES + facts))
            seen = variables(client, home)
            assert b"250-STARTTLS" not in client.command("EHLO foo")
        assert (seen["SSL_PROTOCOL"], seen["SSL_CIPHER"]) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
        assert (seen["SSL_CLIENT_S_DN_CN"], seen["SSL_CLIENT_VERIFY"]) == ("joe", "SUCCESS")
        assert " P:ESMTPS S:203.0.113.7:" in server.wait_log("Accept::RCPT")
        with server.connect() as client:
            client.send(V2)
            assert said(client, *ENVELOPE[:2]).startswith(b"535")


def test_the_header_comes_before_tls(home: QmailHome) -> None:
    trusted = certificate(home)
    facts = tls(1, 0, entry(0x21, b"elsewhere"))
    with warm(home, *NO_NAMES, *PROXY, "--smtps", **recording(home)) as server, server.connect() as plain:
        plain.send(v2(0x21, 0x11, ADDRESSES + facts))
        seen = variables(over_tls(plain, trusted), home)
    assert seen["TCPREMOTEIP"] == "203.0.113.7"
    assert seen["SSL_PROTOCOL"] == "TLSv1.3"


def test_in_front_of_another_smtpd(home: QmailHome) -> None:
    """Its environment has the true client, and the TLS that ended at the balancer."""
    facts = tls(1, 0, entry(0x21, b"TLSv1.3"))
    argv = qmailfork("listen", "-1", *NO_NAMES, *PROXY, "--workers", "1", "127.0.0.1", "0", *child(home))
    with listening(argv, {**home.environment(), "FORCETLS": "1"}, home.path / "log", "127.0.0.1") as server:
        for header, reply in ((v2(0x21, 0x11, ADDRESSES + facts), b"250 child mail"), (V1, b"535 ")):
            with server.connect() as client:
                client.send(header)
                assert said(client, "EHLO foo", "MAIL FROM:<a@example.net>").startswith(reply)
                seen = child_environment(home)
            assert (seen["TCPREMOTEIP"], seen["TCPLOCALIP"], seen["TCPLOCALPORT"]) == ("203.0.113.7", "192.0.2.1", "25")
            assert seen.get("SSL_PROTOCOL") == ("TLSv1.3" if header != V1 else None)


def test_addresses_that_are_none(home: QmailHome) -> None:
    argv = qmailfork("listen", "--proxy", "10.0.0.1/8", "127.0.0.1", "0")
    ended = subprocess.run(argv, env=home.environment(), capture_output=True, check=False)
    assert ended.returncode == 100
    assert ended.stderr == b"qmailfork: usage: --proxy: 10.0.0.1/8 has host bits set\n"


@contextmanager
def haproxy(home: QmailHome, server: Server, sends: str, bind: str = "") -> Iterator[Server]:
    """HAProxy before `server`, on a socket of our own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = home.path / "haproxy.cfg"
        config.write_text(
            "global\n  maxconn 50\ndefaults\n  mode tcp\n  timeout connect 10s\n  timeout client 30s\n"
            f"  timeout server 30s\nlisten smtp\n  bind fd@{listening.fileno()} {bind}\n"
            f"  server qmailfork 127.0.0.1:{server.port} {sends}\n"
        )
        log = home.path / "haproxy.log"
        with (
            log.open("wb") as file,
            running([HAPROXY, "-db", "-f", str(config)], stderr=file, pass_fds=[listening.fileno()]) as process,
        ):
            yield Server("127.0.0.1", listening.getsockname()[1], process, log)


@pytest.mark.parametrize("sends", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy(sends: str, home: QmailHome) -> None:
    with (
        warm(home, *NO_NAMES, *PROXY, **recording(home)) as server,
        haproxy(home, server, sends) as balancer,
        from_address(balancer, "127.0.0.3") as client,
    ):
        seen = variables(client, home)
        assert seen["TCPREMOTEPORT"] == str(client.socket.getsockname()[1])
    assert (seen["TCPREMOTEIP"], seen["TCPLOCALPORT"]) == ("127.0.0.3", str(balancer.port))


@pytest.mark.parametrize("sends", ["check send-proxy", "check check-send-proxy send-proxy-v2"])
def test_haproxys_checks(sends: str, home: QmailHome) -> None:
    with (
        warm(home, *NO_NAMES, *PROXY, "-v") as server,
        haproxy(home, server, f"{sends} inter 100ms"),
    ):
        assert server.wait_log("tcpserver: ok")
        assert server.wait_log("tcpserver: end")


def test_tls_that_haproxy_ends(home: QmailHome) -> None:
    trusted = certificate(home)
    client_file = certificate(home, "joe", "client.pem", "clientkey.pem")
    control = home.path / "control"
    both = _together(home.path / "both.pem", trusted, control / "serverkey.pem")
    bind = f"ssl crt {both} ca-file {client_file} verify optional"
    with (
        warm(home, *NO_NAMES, *PROXY, **recording(home)) as server,
        haproxy(home, server, "send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher", bind) as balancer,
        balancer.connect() as plain,
    ):
        context = ssl.create_default_context(cafile=str(trusted))
        context.load_cert_chain(client_file, control / "clientkey.pem")
        client = Client(context.wrap_socket(plain.socket, server_hostname=NAME), plain.seconds)
        seen = variables(client, home)
        assert " P:ESMTPS " in server.wait_log("Accept::RCPT")
        client.close()
    assert (seen["SSL_PROTOCOL"], seen["SSL_CLIENT_S_DN_CN"]) == ("TLSv1.3", "joe")
    assert (seen["SSL_CLIENT_VERIFY"], seen["SSL_CIPHER"][:4]) == ("SUCCESS", "TLS_")


def _together(path: Path, *files: Path) -> Path:
    path.write_bytes(b"".join(file.read_bytes() for file in files))
    return path
