"""Policy servers in the list: real processes on a Unix socket, asked by both drivers."""

import ast
import base64
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.servers import Talk
from tests.sessions import KINDS, begin, rcpt, send, session
from tests.support import QmailHome, running, wait_for

pytestmark = pytest.mark.parametrize("kind", KINDS)


@contextmanager
def policy_server(home: QmailHome) -> Iterator[subprocess.Popen[bytes]]:
    place = home.path / "policy"
    with running([sys.executable, str(home.fakes / "policy-server"), str(place), str(home.path / "asked")]) as process:
        wait_for(place.exists, what="the policy server")
        try:
            yield process
        finally:
            place.unlink(missing_ok=True)


def env(home: QmailHome, **more: str) -> dict[str, str]:
    return home.environment(**{"SMTPEXTFORK": f"policy:unix:{home.path}/policy", **more})


def asked(home: QmailHome) -> list[dict[str, str]]:
    return [ast.literal_eval(line) for line in Path(home.path / "asked").read_text("latin-1").splitlines()]


def nothing_else_is_said(talk: Talk) -> bool:
    """No fault of ours, either, that the event loop would write down and go on."""
    return all(line.startswith("qmail-smtpd: ") for line in talk.log())


LOCAL = b"sorry, %b envelope failure due to local policy"


@pytest.mark.parametrize(
    ("action", "reply"),
    [
        ("DUNNO", b"250 ok"),
        ("OK", b"250 ok"),
        ("warn+take+care", b"250 ok"),
        ("REJECT", b"554 " + LOCAL % b"permanent"),
        ("REJECT+not+you", b"554 5.7.1 not you"),
        ("REJECT+5.1.1+who", b"554 5.1.1 who"),
        ("DEFER+later", b"450 4.7.1 later"),
        ("DEFER_IF_PERMIT+later", b"450 4.7.1 later"),
        ("DEFER_IF_REJECT+later", b"250 ok"),
        ("450+busy", b"450 busy"),
        ("571+never", b"571 never"),
        ("REJECT%not+you", b"554 5.7.1 not you"),
        ("200", b"250 ok"),
        ("1164300000", b"250 ok"),
        ("250+fine", b"451 " + LOCAL % b"temporary"),
        ("4500+busy", b"451 " + LOCAL % b"temporary"),
        ("HOLD+for+review", b"451 " + LOCAL % b"temporary"),
        ("FROBNICATE", b"451 " + LOCAL % b"temporary"),
    ],
)
def test_actions(kind: str, action: str, reply: bytes, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home, SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert rcpt(talk, action) == reply


@pytest.mark.parametrize(
    ("behind", "action", "code"),
    [
        ("fakes/exit 100", "OK", b"250"),
        ("fakes/exit 100", "DUNNO", b"554"),
        ("fakes/exit 100", "DEFER_IF_PERMIT+later", b"554"),
        ("fakes/exit 100", "DEFER_IF_REJECT+later", b"450"),
        ("fakes/exit 101", "DEFER_IF_REJECT+later", b"454"),
    ],
)
def test_what_depends_on_the_rest_of_the_list(
    kind: str, behind: str, action: str, code: bytes, home: QmailHome
) -> None:
    variables = env(home)
    variables["SMTPEXTFORK"] += "," + behind
    with policy_server(home), session(kind, home, variables) as talk:
        begin(talk)
        assert rcpt(talk, action).startswith(code)


@pytest.mark.parametrize("code", [b"421", b"521"])
def test_codes_that_close(kind: str, code: bytes, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home)) as talk:
        begin(talk)
        assert rcpt(talk, f"{code.decode()}+go") == code + b" go"
        assert talk.client.rest() == b""


def test_the_question(kind: str, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home)) as talk:
        talk.client.command("EHLO foo")
        assert talk.client.command("MAIL FROM:<a\x01b@example.net> SIZE=77")[-1].startswith(b"250")
        assert rcpt(talk, "DUNNO") == rcpt(talk, "DUNNO") == b"250 ok"
        assert talk.client.command("MAIL FROM:<>")[-1].startswith(b"250")
        assert rcpt(talk, "DUNNO") == b"250 ok"
    first, second, third = asked(home)
    assert first == second
    assert first["sender"] == "a?b@example.net"
    assert first["recipient"] == "DUNNO@joedomain.net"
    assert (first["request"], first["protocol_state"], first["protocol_name"]) == (
        "smtpd_access_policy", "RCPT", "ESMTP",
    )  # fmt: skip
    assert (first["helo_name"], first["size"], first["client_name"]) == ("foo", "77", "unknown")
    assert all(first[name] for name in ("client_address", "client_port", "server_address", "server_port"))
    assert {"sasl_username", "ccert_fingerprint", "encryption_protocol", "policy_context", "stress"} <= first.keys()
    assert first["instance"] != third["instance"]
    assert third["sender"] == ""


def test_no_value_of_the_question_is_longer_than_servers_expect(kind: str, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home)) as talk:
        for name in ("x" * 2048, "y" * 16000):
            talk.client.command(f"HELO {name}")
            talk.client.command("MAIL FROM:<>")
            assert rcpt(talk, "DUNNO") == b"250 ok"
    assert [one["helo_name"] for one in asked(home)] == ["x" * 2048, "y" * 2048]


def test_the_question_tells_who_the_client_has_proved_to_be(kind: str, home: QmailHome) -> None:
    auth = {"SMTPAUTH": "", "QMAILFORK_AUTHINPLAIN": "1", "QMAILFORK_CHECKPASSWORD": "fakes/checkpassword"}
    variables = env(home, SMTPEXTFORKR=f"policy:unix:{home.path}/policy", **auth)
    with policy_server(home), session(kind, home, variables) as talk:
        begin(talk)
        assert rcpt(talk, "DUNNO") == b"250 ok"
        assert talk.client.command("RSET") == [b"250 flushed"]
        credentials = base64.b64encode(b"\0joe\0secret").decode()
        assert talk.client.command(f"AUTH PLAIN {credentials}")[0][:3] == b"235"
        assert talk.client.command("MAIL FROM:<a@example.net>") == [b"250 ok"]
        assert rcpt(talk, "DUNNO") == b"250 ok"
    told = [(one["sasl_method"], one["sasl_username"]) for one in asked(home)]
    assert told == [("", ""), ("plain", "joe")]


def test_prepend_stands_above_received(kind: str, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home)) as talk:
        begin(talk)
        assert rcpt(talk, "PREPEND+X-One:+1") == rcpt(talk, "PREPEND+X-Two:+2") == b"250 ok"
        assert rcpt(talk, "PREPEND+X-One:+1") == rcpt(talk, "PREPEND+no+field") == b"250 ok"
        assert send(talk).startswith(b"250 ")
        assert any("Info::RCPT::Extfork_Header" in line for line in talk.log())
    assert home.messages()[0].message.startswith(b"X-One: 1\nX-Two: 2\nReceived: ")


@pytest.mark.parametrize(
    ("answer", "word"),
    [("half", "Protocol"), ("big", "Protocol"), ("twice", "Protocol"), ("silent", "Timeout"), ("HOLD", "Action")],
)
@pytest.mark.parametrize(("fail", "code"), [("pass", b"250"), ("defer", b"451"), ("reject", b"554")])
def test_a_server_that_fails(kind: str, answer: str, word: str, fail: str, code: bytes, home: QmailHome) -> None:
    variables = env(home, SMTPEXTFORKFAIL=fail, SMTPEXTFORKTIMEOUT="0.3")
    with policy_server(home), session(kind, home, variables) as talk:
        begin(talk)
        assert rcpt(talk, answer).startswith(code)
        assert sum(f"Error::RCPT::Extfork_{word}" in line for line in talk.log()) == 1
        assert rcpt(talk, "REJECT+again").startswith(b"554 5.7.1 again")


def test_a_server_that_is_killed_and_comes_back(kind: str, home: QmailHome) -> None:
    with session(kind, home, env(home, SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert rcpt(talk, "OK").startswith(b"451")
        assert any("Error::RCPT::Extfork_Connect" in line for line in talk.log())
        with policy_server(home) as process:
            assert rcpt(talk, "OK") == b"250 ok"
            process.kill()
            process.wait()
            assert rcpt(talk, "OK").startswith(b"451")
        with policy_server(home):
            assert rcpt(talk, "OK") == b"250 ok"


def test_a_server_that_has_no_room_yet_is_waited_for(kind: str, home: QmailHome) -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(home.path / "policy"))
        listening.listen(0)
        others = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(10)]
        for other in others:
            other.setblocking(False)
            with suppress(BlockingIOError):
                other.connect(listening.getsockname())
        talk = stack.enter_context(session(kind, home, env(home, SMTPEXTFORKTIMEOUT="0.5", SMTPEXTFORKFAIL="defer")))
        begin(talk)
        assert rcpt(talk, "OK").startswith(b"451")
        assert any("Error::RCPT::Extfork_Timeout" in line for line in talk.log())


def test_a_connection_that_was_closed_meanwhile(kind: str, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home, SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert {rcpt(talk, "closes") for _ in range(5)} == {b"250 ok"}
        assert rcpt(talk, "REJECT").startswith(b"554")


def test_an_answer_that_nobody_asked_for_is_none_to_the_next_question(kind: str, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home)) as talk:
        begin(talk)
        assert rcpt(talk, "again") == b"250 ok"
        (home.path / "asked.go").touch()
        wait_for((home.path / "asked.said").exists, what="the second answer")
        assert rcpt(talk, "REJECT+you").startswith(b"554 5.7.1 you")


def test_an_answer_in_pieces(kind: str, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home, SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert [rcpt(talk, local)[:3] for local in ("pieces", "REJECT")] == [b"250", b"554"]
        assert nothing_else_is_said(talk)


def test_a_connection_that_is_closed_as_it_is_asked(kind: str, home: QmailHome) -> None:
    with policy_server(home), session(kind, home, env(home, SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert [rcpt(talk, local)[:3] for local in ("once", "once", "REJECT")] == [b"250", b"250", b"554"]


def test_nobody_at_a_port(kind: str, home: QmailHome) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        entry = f"policy:inet:127.0.0.1:{bound.getsockname()[1]}"
        with session(kind, home, home.environment(SMTPEXTFORK=entry, SMTPEXTFORKFAIL="defer")) as talk:
            begin(talk)
            assert [rcpt(talk, "joe")[:3] for _ in range(2)] == [b"451", b"451"]
            assert sum("Error::RCPT::Extfork_Connect" in line for line in talk.log()) == 2


def test_a_port_where_nobody_accepts(kind: str, home: QmailHome) -> None:
    """What is left of the first attempt is not in the way of the next one."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, ExitStack() as stack:
        address = listening.getsockname()
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        variables = home.environment(
            SMTPEXTFORK=f"policy:inet:127.0.0.1:{address[1]}", SMTPEXTFORKFAIL="defer", SMTPEXTFORKTIMEOUT="0.2"
        )
        with session(kind, home, variables) as talk:
            begin(talk)
            assert [rcpt(talk, "joe")[:3] for _ in range(3)] == [b"451"] * 3
            assert sum("Error::RCPT::Extfork_Timeout" in line for line in talk.log()) == 3
            assert nothing_else_is_said(talk)


def test_a_backlog_that_stays_full(kind: str, home: QmailHome) -> None:
    variables = env(home, SMTPEXTFORKFAIL="defer", SMTPEXTFORKTIMEOUT="0.3")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(str(home.path / "policy"))
        listening.listen(0)
        first.connect(str(home.path / "policy"))
        with session(kind, home, variables) as talk:
            begin(talk)
            assert rcpt(talk, "joe")[:3] == b"451"
            assert sum("Error::RCPT::Extfork_Timeout" in line for line in talk.log()) == 1


def test_an_address_that_makes_no_sense_lets_nobody_past(kind: str, home: QmailHome) -> None:
    with session(kind, home, home.environment(SMTPEXTFORK="policy:inet:nowhere", SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert rcpt(talk, "joe").startswith(b"451")
        assert any("Extfork_Config" in line and "policy:inet:nowhere" in line for line in talk.log())


@pytest.mark.parametrize(
    ("entry", "reply"), [("spp:", b"451"), ("policy:", b"451"), ("shadow:", b"250"), ("shadow:policy:nowhere", b"250")]
)
def test_an_entry_that_makes_no_sense_is_told_and_stays_on_trial(
    kind: str, entry: str, reply: bytes, home: QmailHome
) -> None:
    with session(kind, home, home.environment(SMTPEXTFORK=entry, SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert rcpt(talk, "joe")[:3] == reply
        assert any("Error::SNDR::Extfork_Config" in line and f"'SMTPEXTFORK={entry}'" in line for line in talk.log())
        assert any("Error::RCPT::Extfork_Exec" in line for line in talk.log())


def test_a_path_that_begins_at_home(kind: str, home: QmailHome) -> None:
    variables = env(home, SMTPEXTFORK="policy:unix:policy")
    with policy_server(home), session(kind, home, variables) as talk:
        begin(talk)
        assert rcpt(talk, "REJECT+here") == b"554 5.7.1 here"
