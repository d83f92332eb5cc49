"""Whom tcpserver asks for names, and what it believes of the answers: the listener does the same.

With a real name server and a real ident server, at the ports where they belong.
"""

import socket
import subprocess
import time

import pytest
from dnslib import DNSLabel

from tests.identserver import ident_server
from tests.privatenetwork import dns, in_private
from tests.smtpclient import Client
from tests.support import PATIENCE, QmailHome, qmailfork
from tests.ucspi import tcprules
from tests.warm import BOTH, ENVELOPE, Starter, from_address, said, tcp_environment, warm

both = pytest.mark.parametrize("start", BOTH)
ZONE = {
    "1.0.0.127.in-addr.arpa": [("PTR", "MX.example.net")],
    "mx.example.net": [("A", "192.0.2.1"), ("A", "127.0.0.1")],
    "2.0.0.127.in-addr.arpa": [("PTR", "liar.example.net")],
    "liar.example.net": [("A", "192.0.2.9")],
    "4.0.0.127.in-addr.arpa": [("SERVFAIL", "")],
    "5.0.0.127.in-addr.arpa": [("PTR", DNSLabel([b"A_b-c *@", b"example"]))],
    "a_b-c *@.example": [("A", "127.0.0.5")],
}
HONEST, LIAR, NOBODY, BROKEN, ODD = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
ODD_NAME = r"a_b-c\040\052\100.example"


@both
@pytest.mark.parametrize(
    ("options", "source", "name"),
    [
        ("-h", HONEST, "mx.example.net"),
        ("-h", LIAR, "liar.example.net"),
        ("-h", NOBODY, None),
        ("-h", BROKEN, None),
        ("-h", ODD, ODD_NAME),
        ("-p", ODD, ODD_NAME),
        ("-p", HONEST, "mx.example.net"),
        ("-p", LIAR, None),
        ("-P", LIAR, "liar.example.net"),
        ("-H", HONEST, None),
    ],
)
@in_private
def test_the_name_of_a_client(start: Starter, options: str, source: str, name: str | None, home: QmailHome) -> None:
    record = home.path / "record"
    checked = {"SMTPEXTFORK": f"fakes/record {record}"}
    with dns(home.path, ZONE) as nameserver, start(home, "-R", "-l", "mx", options, **checked) as server:
        with from_address(server, source) as client:
            assert tcp_environment(client, record).get("TCPREMOTEHOST") == name
        assert bool(nameserver.asked) is (options != "-H")


@both
@in_private
def test_our_own_name(start: Starter, home: QmailHome) -> None:
    record = home.path / "record"
    checked = {"SMTPEXTFORK": f"fakes/record {record}"}
    with dns(home.path, ZONE), start(home, "-R", "-H", host="0", **checked) as server:
        names = []
        for address in (HONEST, NOBODY):
            with Client(socket.create_connection((address, server.port), timeout=20)) as client:
                names.append(tcp_environment(client, record).get("TCPLOCALHOST"))
    assert names == ["mx.example.net", None]


@both
@in_private
def test_rules_for_names(start: Starter, home: QmailHome) -> None:
    rules = tcprules(
        home.path,
        'joe@127.0.0.1:allow,RELAYCLIENT=""\n=liar.example.net:deny\n=:allow\n=.example.net:allow\n:deny\n',
    )
    with (
        dns(home.path, ZONE),
        ident_server(b"%b : USERID : UNIX : joe\r\n"),
        start(home, "-l", "mx", "-x", str(rules)) as server,
    ):
        with from_address(server, HONEST) as client:
            assert said(client, *ENVELOPE[:2], "RCPT TO:<x@elsewhere.example>") == b"250 ok"
        for source in (LIAR, NOBODY):
            with from_address(server, source) as client:
                assert client.rest() == b""


@both
@pytest.mark.parametrize(
    ("answer", "info"),
    [
        (b"%b : USERID : UNIX : joe\r\n", "joe"),
        (b"%b:USERID:UNIX:joe smith\r\n", "joesmith"),
        (b"%b : USERID : OTHER , US-ASCII : a:b\r\n", "a:b"),
        (b"%b : ERROR : NO-USER\r\n", ""),
        (b"nonsense\r\n", ""),
        (b"\r\n", ""),
        (b"%b : USERID : UNIX : joe\0smith\r\n", "joe"),
        (b"%b : USERID : UNIX : jo\r\v\x1b[1m\xff'=\r\n", "jo\v\x1b[1m\udcff'="),
        (b"%b : USERID : UNIX : jo", None),
        (b"%b : USERID : UNIX : " + b"j" * 400 + b"\r\n", "j" * 257),
    ],
)
@in_private
def test_the_user_by_ident(start: Starter, answer: bytes, info: str | None, home: QmailHome) -> None:
    record = home.path / "record"
    checked = {"SMTPEXTFORK": f"fakes/record {record}"}
    with (
        ident_server(answer) as asked,
        start(home, "-H", "-r", "-l", "mx", **checked) as server,
        server.connect() as client,
    ):
        assert tcp_environment(client, record).get("TCPREMOTEINFO") == info
        ports = (client.socket.getsockname()[1], server.port)
    assert [tuple(int(port) for port in question.split(",")) for question in asked] == [ports]


@both
@in_private
def test_capital_r_asks_nobody(start: Starter, home: QmailHome) -> None:
    with (
        ident_server(b"%b : USERID : UNIX : joe\r\n") as asked,
        start(home, "-H", "-R", "-l", "mx") as server,
        server.connect() as client,
    ):
        assert said(client, *ENVELOPE) == b"250 ok"
    assert asked == []


@both
@in_private
def test_no_ident_server_costs_no_time(start: Starter, home: QmailHome) -> None:
    with start(home, "-H", "-l", "mx") as server, server.connect() as client:
        assert said(client, *ENVELOPE) == b"250 ok"


@both
@in_private
def test_t_is_the_patience_with_the_ident_server(start: Starter, home: QmailHome) -> None:
    with ident_server(), start(home, "-H", "-l", "mx", "-t", "1") as server, server.connect() as client:
        began = time.monotonic()
        assert said(client, *ENVELOPE) == b"250 ok"
        assert time.monotonic() - began > 0.9


@in_private
def test_while_one_is_looked_up_others_are_served(home: QmailHome) -> None:
    with (
        ident_server(host="127.0.0.2"),
        warm(home, "-H", "-l", "mx", "--workers", "1") as server,
        from_address(server, "127.0.0.2") as slow,
        server.connect() as client,
    ):
        assert said(client, *ENVELOPE) == b"250 ok"
        slow.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            slow.socket.recv(1)


@in_private
def test_the_grace_is_over_for_one_who_is_looked_up(home: QmailHome) -> None:
    with (
        ident_server(host="127.0.0.2"),
        warm(home, "-H", "-l", "mx", "-t", "1000", "--workers", "1", "--grace", "0.3") as server,
        from_address(server, "127.0.0.2"),
        server.connect() as client,
    ):
        client.reply()
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


@both
@pytest.mark.parametrize(
    ("host", "port", "reached"),
    [
        ("0", "25", ["127.0.0.1", "127.0.0.9"]),
        ("127.0.0.1", "smtp", ["127.0.0.1"]),
        ("127.0.0.9", "25", ["127.0.0.9"]),
    ],
)
@in_private
def test_hosts_and_ports(start: Starter, host: str, port: str, reached: list[str], home: QmailHome) -> None:
    with start(home, "-H", "-R", "-l", "mx", host=host, port=port) as server:
        assert server.port == 25
        for address in ("127.0.0.1", "127.0.0.9"):
            if address in reached:
                with Client(socket.create_connection((address, 25), timeout=20)) as client:
                    assert client.reply() == [b"220 mail.joedomain.net ESMTP"]
            else:
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((address, 25))


@pytest.mark.parametrize(
    ("host", "reached"), [("::", ["::1", "127.0.0.1"]), ("::1", ["::1"]), ("localhost", ["127.0.0.1"])]
)
@pytest.mark.parametrize("port", ["0", "25"])
@in_private
def test_what_tcpserver_does_not_know(host: str, port: str, reached: list[str], home: QmailHome) -> None:
    record = home.path / "record"
    checked = {"SMTPEXTFORK": f"fakes/record {record}"}
    with warm(home, "-H", "-R", "-l", "mx", host=host, port=port, **checked) as server:
        for address in reached:
            with Client(socket.create_connection((address, server.port), timeout=20)) as client:
                seen = tcp_environment(client, record)
                assert (seen["PROTO"], seen["TCPREMOTEIP"], seen["TCPLOCALIP"]) == (
                    "TCP6" if ":" in address else "TCP",
                    address,
                    address,
                )


def test_without_its_library_it_does_not_start(home: QmailHome) -> None:
    (home.path / "broken" / "dns").mkdir(parents=True)
    (home.path / "broken" / "dns" / "__init__.py").write_text("")
    env = home.environment(PYTHONPATH=str(home.path / "broken"))
    done = subprocess.run(qmailfork("listen", "127.0.0.1", "0"), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 111
    assert done.stderr.count("\n") == 1
    assert "dnspython" in done.stderr
