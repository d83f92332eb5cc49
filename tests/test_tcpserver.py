"""Sessions through real tcpserver, with rules of tcprules and an env-dir."""

from pathlib import Path

import pytest

from tests.support import QmailHome, recorded, smtpd, wait_for
from tests.ucspi import Server, tcprules, tcpserver

ENVELOPE = ("HELO foo", "MAIL FROM:<john@foodomain.net>")
RCPT = "RCPT TO:<joe@joedomain.net>"


def say(server: Server, *lines: str) -> list[bytes]:
    """The last line of each reply to these lines."""
    with server.connect() as client:
        return [client.reply()[-1], *(client.command(line)[-1] for line in lines)]


def test_accepted_deferred_and_refused(home: QmailHome, tmp_path: Path) -> None:
    """README's example, in one session."""
    variables = {
        "SMTPEXTFORK": "fakes/match joe@joedomain.net 101, fakes/match jim@joedomain.net 100",
        "454SMTPEXTFORK": "sorry john, you can not send a message to joe right now - temporary failure",
    }
    with (
        tcpserver(smtpd(), home.environment(), tmp_path, rules=":allow\n", variables=variables) as server,
        server.connect() as client,
    ):
        assert client.reply() == [b"220 mail.joedomain.net ESMTP"]
        for line in ENVELOPE:
            client.command(line)
        assert client.command(RCPT) == [b"454 " + variables["454SMTPEXTFORK"].encode()]
        assert client.command("RCPT TO:<jim@joedomain.net>") == [
            b"554 sorry, permanent envelope failure due to local policy"
        ]
        assert client.command("RCPT TO:<jack@joedomain.net>") == [b"250 ok"]
        assert client.command("DATA") == [b"354 go ahead"]
        assert client.command("Subject: x\r\n\r\nhello\r\n.")[0].startswith(b"250 ok ")
        assert client.command("QUIT") == [b"221 mail.joedomain.net"]
        assert client.rest() == b""
        assert server.wait_log("tcpserver: end").endswith(" status 0")
    (message,) = home.messages()
    assert message.recipients == (b"jack@joedomain.net",)
    assert message.message.startswith(
        b"Received: from unknown (HELO foo) (127.0.0.1)\n  by mail.joedomain.net with SMTP"
    )
    accepted = server.wait_log("Accept::RCPT")
    assert accepted.endswith("S:127.0.0.1:unknown H:foo F:john@foodomain.net T:jack@joedomain.net")
    ended = server.wait_log("tcpserver: end")
    assert ended.split(" ")[2] == accepted.split(" ")[2], "the log's pid is the session's, as tcpserver has it"


@pytest.mark.parametrize(
    ("rules", "variables", "reply"),
    [
        (':allow,SMTPEXTFORK="fakes/exit 100"\n', {}, b"554"),
        (":allow\n", {"SMTPEXTFORK": "fakes/exit 101"}, b"454"),
        (':allow,SMTPEXTFORK="fakes/exit 100"\n', {"SMTPEXTFORK": "fakes/exit 101"}, b"554"),  # rules win
        ('127.:allow,SMTPEXTFORK=""\n:allow\n', {"SMTPEXTFORK": "fakes/exit 101"}, b"250"),
        ('127.0.0.1:allow,RELAYCLIENT=""\n', {"SMTPEXTFORK": "fakes/exit 101"}, b"250"),
        ('127.0.0.1:allow,RELAYCLIENT=""\n', {"SMTPEXTFORKR": "fakes/exit 100"}, b"554"),
        ("10.:allow\n", {"SMTPEXTFORK": "fakes/exit 101"}, b"454"),
    ],
)
def test_where_the_list_comes_from(
    home: QmailHome, tmp_path: Path, rules: str, variables: dict[str, str | None], reply: bytes
) -> None:
    with tcpserver(smtpd(), home.environment(), tmp_path, rules=rules, variables=variables) as server:
        assert say(server, *ENVELOPE, RCPT)[-1][:3] == reply


@pytest.mark.parametrize(
    ("by", "rules", "variables"),
    [
        ("rules", ':allow,SMTPEXTFORK="fakes/exit 100",554SMTPEXTFORK="no, never; not \'you\'"\n', {}),
        ("env-dir", ":allow\n", {"SMTPEXTFORK": "fakes/exit 100", "554SMTPEXTFORK": "no, never; not 'you'"}),
    ],
)
def test_own_words_by_a_name_that_begins_with_a_digit(
    home: QmailHome, tmp_path: Path, by: str, rules: str, variables: dict[str, str | None]
) -> None:
    with tcpserver(smtpd(), home.environment(), tmp_path, rules=rules, variables=variables) as server:
        assert say(server, *ENVELOPE, RCPT)[-1] == b"554 no, never; not 'you'", by


def test_a_newline_in_an_env_dir_makes_a_reply_of_two_lines(home: QmailHome, tmp_path: Path) -> None:
    variables = {"SMTPEXTFORK": "fakes/exit 100", "554SMTPEXTFORK": "one\0two"}
    with tcpserver(smtpd(), home.environment(), tmp_path, variables=variables) as server, server.connect() as client:
        client.reply()
        for line in ENVELOPE:
            client.command(line)
        assert client.command(RCPT) == [b"554-one", b"554 two"]


def test_who_is_denied_gets_no_session(home: QmailHome, tmp_path: Path) -> None:
    with (
        tcpserver(smtpd(), home.environment(), tmp_path, rules="127.0.0.1:deny\n") as server,
        server.connect() as client,
    ):
        assert client.rest() == b""
        assert server.wait_log("tcpserver: end").endswith(" status 25600")


def test_new_rules_count_for_the_next_session(home: QmailHome, tmp_path: Path) -> None:
    with tcpserver(smtpd(), home.environment(), tmp_path, rules=":allow\n") as server:
        assert say(server, *ENVELOPE, RCPT)[-1] == b"250 ok"
        tcprules(tmp_path, ':allow,SMTPEXTFORK="fakes/exit 101"\n')
        assert say(server, *ENVELOPE, RCPT)[-1][:3] == b"454"


def test_what_a_checker_sees(home: QmailHome, tmp_path: Path) -> None:
    seen = home.path / "seen"
    variables = {"SMTPEXTFORK": f"fakes/record {seen}"}
    with tcpserver(smtpd(), home.environment(), tmp_path, variables=variables) as server:
        say(server, *ENVELOPE, RCPT)
        fields = recorded(seen)
        environment = dict(variable.split("=", 1) for variable in fields["env"])
        assert environment["TCPLOCALPORT"] == str(server.port)
    assert environment["TCPREMOTEIP"] == "127.0.0.1"
    assert environment["REMOTEMF"] == "john@foodomain.net"
    assert environment["REMOTERCPT"] == "joe@joedomain.net"
    assert environment["REMOTEHELO"] == "foo"
    assert sorted(fields["fd"]) == ["0", "1", "2"]
    assert "ignored" not in fields
    assert "blocked" not in fields


@pytest.mark.parametrize("gone", ["reset", "close"])
def test_a_client_that_vanishes_in_its_message_leaves_nothing(home: QmailHome, tmp_path: Path, gone: str) -> None:
    with tcpserver(smtpd(), home.environment(), tmp_path) as server:
        client = server.connect()
        client.reply()
        for line in (*ENVELOPE, RCPT, "DATA"):
            client.command(line)
        client.send(b"Subject: x\r\n\r\nhalf a mess")
        getattr(client, gone)()
        assert server.wait_log("tcpserver: end").endswith(" status 256")
        wait_for(lambda: not home.drafts(), what="the queue to clear up")
    assert home.messages() == []
