"""Policy servers by the name of their host: DNS finds it, does not know it, or keeps silent."""

import socket
import sys
from contextlib import ExitStack

import pytest

from tests.nameserver import Zone
from tests.privatenetwork import dns, in_private
from tests.sessions import KINDS, begin, rcpt, session
from tests.support import QmailHome, running, wait_for
from tests.warm import NO_NAMES, warm

PORT = 10023  # this network is the test's own
ZONE: Zone = {
    "policy.example": [("A", "127.0.0.1")],
    "several.example": [("A", f"127.0.0.{last}") for last in range(1, 5)],
    "mute.example": [("SILENT", "")],
}
LONG = 30  # seconds, the longest that a resolver can be told
each_kind = pytest.mark.parametrize("kind", KINDS)


def listening(address: str = "127.0.0.1") -> bool:
    with socket.socket() as client:
        return client.connect_ex((address, PORT)) == 0


def named(home: QmailHome, host: str) -> dict[str, str]:
    return home.environment(SMTPEXTFORK=f"policy:inet:{host}:{PORT}", SMTPEXTFORKFAIL="defer", SMTPEXTFORKTIMEOUT="1")


@each_kind
@in_private
def test_one_that_dns_finds(kind: str, home: QmailHome) -> None:
    server = [sys.executable, str(home.fakes / "policy-server"), f"127.0.0.1:{PORT}", str(home.path / "asked")]
    with dns(home.path, ZONE), running(server):
        wait_for(listening, what="the policy server")
        with session(kind, home, {**named(home, "policy.example"), "SMTPEXTFORKTIMEOUT": "20"}) as talk:
            begin(talk)
            assert rcpt(talk, "DUNNO") == b"250 ok"
            assert rcpt(talk, "REJECT").startswith(b"554 ")


@each_kind
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.4"])
@in_private
def test_one_at_some_of_several_addresses(kind: str, address: str, home: QmailHome) -> None:
    server = [sys.executable, str(home.fakes / "policy-server"), f"{address}:{PORT}", str(home.path / "asked")]
    with dns(home.path, ZONE), running(server):
        wait_for(lambda: listening(address), what="the policy server")
        with session(kind, home, {**named(home, "several.example"), "SMTPEXTFORKTIMEOUT": "20"}) as talk:
            begin(talk)
            assert rcpt(talk, "REJECT").startswith(b"554 ")


@each_kind
@in_private
def test_one_that_dns_does_not_know(kind: str, home: QmailHome) -> None:
    with dns(home.path, ZONE), session(kind, home, named(home, "nowhere.example")) as talk:
        begin(talk)
        assert rcpt(talk, "joe").startswith(b"451 ")
        assert any("Error::RCPT::Extfork_Connect" in line for line in talk.log())


@each_kind
@in_private
def test_dns_keeps_silent(kind: str, home: QmailHome) -> None:
    """The checker's time is over before the resolver's is, and the session goes on and ends."""
    with dns(home.path, ZONE, LONG), session(kind, home, named(home, "mute.example")) as talk:
        begin(talk)
        assert [rcpt(talk, "joe")[:4] for _ in range(2)] == [b"451 ", b"451 "]
        assert sum("Error::RCPT::Extfork_Timeout" in line for line in talk.log()) == 2
        assert talk.client.command("QUIT")[0].startswith(b"221 ")
        assert talk.client.rest() == b""
        assert talk.status() in (0, None)


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
@in_private
def test_an_address_does_not_wait_for_names(loop: str, home: QmailHome) -> None:
    policy = [sys.executable, str(home.fakes / "policy-server"), f"127.0.0.1:{PORT}", str(home.path / "asked")]
    env = {name: value for name, value in named(home, "mute.example").items() if name.startswith("SMTP")}
    env["SMTPEXTFORK"] = f"policy:inet:127.0.0.1:{PORT},{env['SMTPEXTFORK']}"
    with (
        dns(home.path, ZONE, LONG),
        running(policy),
        warm(home, *NO_NAMES, "--workers", "1", "--loop", loop, **env) as server,
        ExitStack() as stack,
    ):
        wait_for(listening, what="the policy server")
        clients = [stack.enter_context(server.connect()) for _ in range(40)]  # more than there are threads for names
        for client in clients:
            client.send(b"HELO foo\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<closes@joedomain.net>\r\n" * 2)
        for client in clients:
            assert [client.reply()[0][:3] for _ in range(5)] == [b"220", b"250", b"250", b"451", b"451"]
        failed = {line.rpartition(" ")[2] for line in server.log() if "Error::RCPT::Extfork_Timeout" in line}
        assert failed == {f"'policy:inet:mute.example:{PORT}'"}


@in_private
def test_the_resolver_gives_up_after_the_checker(home: QmailHome) -> None:
    """Nobody waits for its answer any more, and nothing is said of it."""
    with dns(home.path, ZONE, 2), session("listener", home, named(home, "mute.example")) as talk:
        begin(talk)
        for _ in range(4):  # a second each
            assert rcpt(talk, "joe")[:4] == b"451 "
        assert all(line.startswith("qmail-smtpd: ") for line in talk.log())


@in_private
def test_the_end_while_dns_keeps_silent(home: QmailHome) -> None:
    """SIGTERM is for the thread that serves the client."""
    env = {**named(home, "mute.example"), "SMTPEXTFORKTIMEOUT": str(LONG)}
    with dns(home.path, ZONE, LONG) as nameserver, session("stdio", home, env) as talk:
        begin(talk)
        talk.client.send(b"RCPT TO:<joe@joedomain.net>\r\n")
        wait_for(lambda: nameserver.asked, what="the question")
        assert talk.process
        talk.process.terminate()
        assert talk.status() == 1
        assert not any("Extfork_" in line for line in talk.log())
