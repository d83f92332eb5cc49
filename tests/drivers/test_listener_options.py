"""tcpserver's options: each has the same effect on the listener as on tcpserver itself."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schemes.test_policy import asked, policy_server
from tests.smtpclient import Client
from tests.sockets import backlog, socket_of
from tests.support import QmailHome, recorded, wait_for
from tests.ucspi import Server, tcprules
from tests.warm import BOTH, ENVELOPE, NO_NAMES, Starter, children, cold, from_address, said, tcp_environment, warm

both = pytest.mark.parametrize("start", BOTH)
NOBODY = 65534
GREETING = [b"220 mail.joedomain.net ESMTP"]


def serving_socket(server: Server) -> socket.socket:
    """The server's end of the connection that it serves."""

    def found() -> socket.socket | None:
        for pid in (server.process.pid, *children(server.process.pid)):
            try:
                return socket_of(pid, server.port, connected=True)
            except LookupError:
                continue
        return None

    return wait_for(found, what="the session's socket")


@both
def test_c_holds_the_next_client_in_the_backlog(start: Starter, home: QmailHome) -> None:
    with start(home, *NO_NAMES, "-v", "-c", "2") as server, server.connect() as first, server.connect() as second:
        assert first.reply() == second.reply() == GREETING
        with server.connect() as third:
            third.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                third.socket.recv(1)
            first.command("QUIT")
            assert third.reply() == GREETING
        assert not any("status: 3/" in line for line in server.log())


@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_c_is_counted_over_all_workers(workers: str, home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "-v", "-c", "5", "--workers", workers) as server:
        clients = [server.connect() for _ in range(8)]
        wait_for(lambda: any("status: 5/5" in line for line in server.log()), what="the limit")
        while clients:
            leaving = next(client for client in clients if greeted(client))
            leaving.command("QUIT")
            leaving.close()
            clients.remove(leaving)
        wait_for(lambda: server.log()[-1].endswith("status: 0/5"), what="the last to leave")
        assert not any("status: 6/" in line for line in server.log())


def greeted(client: Client) -> bool:
    """Whether this client has a greeting by now."""
    if not client.pending:
        client.socket.setblocking(False)
        try:
            client.pending = client.socket.recv(1000)
        except BlockingIOError:
            return False
    return client.reply() == GREETING


@both
def test_x_denies_and_sets_variables(start: Starter, home: QmailHome) -> None:
    rules = tcprules(home.path, '127.0.0.1:allow,SMTPEXTFORK="fakes/exit 101"\n127.0.0.2:deny\n:allow\n')
    with start(home, *NO_NAMES, "-x", str(rules)) as server:
        with server.connect() as client:
            assert said(client, *ENVELOPE).startswith(b"454 ")
        with Client(socket.create_connection(("127.0.0.1", server.port), source_address=("127.0.0.2", 0))) as client:
            assert client.rest() == b""
        tcprules(home.path, ":deny\n")
        with server.connect() as client:
            assert client.rest() == b""


@both
def test_x_without_a_rule_that_fits_allows(start: Starter, home: QmailHome) -> None:
    with start(home, *NO_NAMES, "-x", str(tcprules(home.path, "10.:deny\n"))) as server, server.connect() as client:
        assert client.reply() == GREETING


@both
def test_x_begins_where_the_server_was_started(
    start: Starter, home: QmailHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tcprules(tmp_path, ":allow\n")
    # -c 1 is one worker: the second client is not another's
    with start(home, *NO_NAMES, "-c", "1", "-X", "-x", "rules.cdb", SMTPEXTFORK="fakes/exit 101") as server:
        with server.connect() as client:
            assert said(client, *ENVELOPE).startswith(b"454 ")  # the checker ran in another directory
        tcprules(tmp_path, ":deny\n")
        with server.connect() as client:
            assert client.rest() == b""
    assert not any("warning" in line for line in server.log())


@both
def test_capital_x_allows_where_there_are_no_rules(start: Starter, home: QmailHome) -> None:
    with start(home, *NO_NAMES, "-X", "-x", str(home.path / "rules.cdb")) as server:
        with server.connect() as client:
            assert client.reply() == GREETING
        tcprules(home.path, ":deny\n")
        with server.connect() as client:
            assert client.rest() == b""
        (home.path / "rules.cdb").unlink()
        with server.connect() as client:
            assert client.reply() == GREETING


@both
@pytest.mark.parametrize("rules", [":allow\n", ":deny\n"])
def test_capital_b_comes_first_whatever_the_rules_say(start: Starter, rules: str, home: QmailHome) -> None:
    options = ("-B", "hi there ", "-x", str(tcprules(home.path, rules)))
    with start(home, *NO_NAMES, *options) as server, server.connect() as client:
        client.half_close()
        assert client.rest() == b"hi there " + (GREETING[0] + b"\r\n" if rules == ":allow\n" else b"")


@both
@pytest.mark.parametrize("local", ["0", "other.example"])
def test_l_is_the_local_name(start: Starter, local: str, home: QmailHome) -> None:
    record = home.path / "record"
    checked = {"SMTPEXTFORK": f"fakes/record {record}"}
    with start(home, "-H", "-R", "-l", local, **checked) as server, server.connect() as client:
        assert tcp_environment(client, record) == {
            "PROTO": "TCP", "TCPLOCALHOST": local, "TCPLOCALIP": "127.0.0.1", "TCPLOCALPORT": str(server.port),
            "TCPREMOTEIP": "127.0.0.1",
        }  # fmt: skip


@both
def test_variables_of_the_surroundings_do_not_count(start: Starter, home: QmailHome) -> None:
    record = home.path / "record"
    lies = {"TCPREMOTEHOST": "liar", "TCPREMOTEINFO": "liar", "TCPREMOTEIP": "192.0.2.1", "TCPLOCALHOST": "liar"}
    with start(home, *NO_NAMES, SMTPEXTFORK=f"fakes/record {record}", **lies) as server, server.connect() as client:
        assert {"liar", "192.0.2.1"}.isdisjoint(tcp_environment(client, record).values())


@both
def test_rules_win_over_the_tcp_variables(start: Starter, home: QmailHome) -> None:
    record = home.path / "record"
    rules = tcprules(home.path, ':allow,TCPREMOTEHOST="told.example",TCPLOCALIP="192.0.2.9"\n')
    checked = {"SMTPEXTFORK": f"fakes/record {record}"}
    with start(home, *NO_NAMES, "-x", str(rules), **checked) as server, server.connect() as client:
        seen = tcp_environment(client, record)
    assert (seen["TCPREMOTEHOST"], seen["TCPLOCALIP"]) == ("told.example", "192.0.2.9")


@both
def test_a_variable_without_a_name_keeps_no_program_from_starting(start: Starter, home: QmailHome) -> None:
    record = home.path / "record"
    rules = tcprules(home.path, ':allow,="nameless",NAMED="yes"\n')
    checked = {"SMTPEXTFORK": f"fakes/record {record}"}
    with start(home, *NO_NAMES, "-x", str(rules), **checked) as server, server.connect() as client:
        assert said(client, *ENVELOPE) == b"250 ok"
    assert "NAMED=yes" in recorded(record)["env"]


@both
def test_rules_say_where_qmail_is(start: Starter, home: QmailHome, other_home: QmailHome) -> None:
    other_home.control(smtpgreeting="other\n")
    rules = tcprules(home.path, f'127.0.0.2:allow,QMAILHOME="{other_home.path}"\n:allow\n')
    with start(home, *NO_NAMES, "-x", str(rules), SMTPEXTFORK=f"fakes/record {home.path}/record") as server:
        for address, there, greeting in (
            ("127.0.0.1", home, GREETING[0]),
            ("127.0.0.2", other_home, b"220 other ESMTP"),
        ):
            with from_address(server, address) as client:
                assert client.reply() == [greeting]
                assert [client.command(line)[-1] for line in ENVELOPE][-1] == b"250 ok"
            assert recorded(home.path / "record")["cwd"] == [str(there.path)]


def test_each_home_has_a_policy_server_of_its_own(home: QmailHome, other_home: QmailHome) -> None:
    rules = tcprules(home.path, f'127.0.0.2:allow,QMAILHOME="{other_home.path}"\n:allow\n')
    options = (*NO_NAMES, "--workers", "1", "-x", str(rules))
    with (
        policy_server(home),
        policy_server(other_home),
        warm(home, *options, SMTPEXTFORK="policy:unix:policy") as server,
    ):
        for address, there in (("127.0.0.1", home), ("127.0.0.2", other_home)):
            with from_address(server, address) as client:
                client.reply()
                said = [client.command(line)[-1] for line in (*ENVELOPE[:-1], "RCPT TO:<DUNNO@joedomain.net>")]
                assert said[-1] == b"250 ok"
            assert len(asked(there)) == 1


@both
def test_1_prints_the_port_and_lets_go_of_the_output(start: Starter, home: QmailHome) -> None:
    with start(home, *NO_NAMES) as server:
        assert server.process.stdout is not None
        assert server.process.stdout.read() == b""
        with server.connect() as client:
            assert client.reply() == GREETING


@both
@pytest.mark.parametrize(("option", "undelayed"), [("-d", False), ("-D", True)])
def test_d_is_about_small_packets(start: Starter, option: str, undelayed: bool, home: QmailHome) -> None:
    with start(home, *NO_NAMES, option) as server, server.connect() as client:
        client.reply()
        with serving_socket(server) as serving:
            assert bool(serving.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is undelayed


@pytest.mark.parametrize(
    ("start", "option", "kept"),
    # tcpserver 0.88 means to do the last as well, by BSD's number of IP_OPTIONS, which is another option on Linux
    [(cold, "-o", True), (warm, "-o", True), (warm, "-O", False)],
)
def test_o_is_about_ip_options(start: Starter, option: str, kept: bool, home: QmailHome) -> None:
    with start(home, *NO_NAMES, option) as server, socket.socket() as client:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x07\x07\x04\0\0\0\0\0")  # record route
        client.connect((server.host, server.port))
        Client(client).reply()
        with serving_socket(server) as serving:
            assert bool(serving.getsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, 40)) is kept


@pytest.mark.parametrize(
    ("start", "options", "length"),
    [(cold, (), 20), (warm, (), 1000), (cold, ("-b", "33"), 33), (warm, ("-b", "33"), 33)],
)
def test_b_is_the_backlog(start: Starter, options: tuple[str, ...], length: int, home: QmailHome) -> None:
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    with (
        start(home, *NO_NAMES, *options) as server,
        socket_of(server.process.pid, server.port, connected=False) as listening,
    ):
        assert backlog(listening) == min(length, most)


@pytest.fixture
def open_home(fakes: Path) -> Iterator[QmailHome]:
    """A qmail home that anybody may enter."""
    place = Path(tempfile.mkdtemp())
    shutil.copytree(fakes, place / "fakes")
    place.chmod(0o755)
    yield QmailHome(place / "qmail", place / "fakes")
    shutil.rmtree(place)


@both
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to another user")
@pytest.mark.parametrize(
    ("options", "env"),
    [
        (("-u", str(NOBODY), "-g", str(NOBODY)), {}),
        (("-U",), {"UID": str(NOBODY), "GID": str(NOBODY)}),
        (("-g", str(NOBODY)), {}),
    ],
)
def test_u_and_g_are_the_user_who_serves(
    start: Starter, options: tuple[str, ...], env: dict[str, str], open_home: QmailHome
) -> None:
    with start(open_home, *NO_NAMES, *options, **env) as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    user = NOBODY if options[0] != "-g" else 0
    assert fields["Uid"].split() == [str(user)] * 4
    assert fields["Gid"].split() == [str(NOBODY)] * 4
    assert fields["Groups"].split() == [str(NOBODY)]
