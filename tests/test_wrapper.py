"""Wrap mode on both drivers: what the wrapped smtpd hears, what the client does, and what becomes of a bad one."""

import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import REFERENCE, Talk, in_namespace, reference_there
from tests.sessions import KINDS, begin, rcpt, send, serving, session
from tests.support import QmailHome, alive, qmailfork, smtpd, wait_for
from tests.ucspi import listening

pytestmark = pytest.mark.parametrize("kind", KINDS)
LOST = b"421 unable to speak with the mail server behind (#4.3.0)"


def child(home: QmailHome, *deeds: str) -> list[str]:
    return [sys.executable, str(home.fakes / "smtpd"), str(home.path / "heard"), *deeds]


def heard(home: QmailHome) -> bytes:
    return (home.path / "heard").read_bytes()


@contextmanager
def wrapped(kind: str, home: QmailHome, *deeds: str, **more: str) -> Iterator[Talk]:
    with session(kind, home, home.environment(**more), child(home, *deeds)) as talk:
        yield talk


def test_what_passes(kind: str, home: QmailHome) -> None:
    """Commands in the form that a client that behaves gives them, the message as it comes, replies as they are."""
    with wrapped(kind, home, "MAIL=250-one/250 two", SMTPEXTFORK="fakes/match no@joedomain.net 100") as talk:
        client = talk.client
        assert client.command("ehlo  foo\x01bar")[0] == b"250-child"
        assert client.command("mail from:<a@example.net> SIZE=5 <junk> a=b=c BODY=8BITMIME") == [b"250-one", b"250 two"]
        assert client.command("RCPT TO:<@route:joe@joedomain.net> <evil@joedomain.net> NOTIFY=NEVER") == [
            b"250 child rcpt"
        ]
        assert client.command('rcpt TO:<"j o\\"e"@joedomain.net>') == [b"250 child rcpt"]
        assert client.command("RCPT TO:<no@joedomain.net>")[0].startswith(b"554 ")
        assert client.command("RCPT TO:<b@elsewhere.org>")[0].startswith(b"553 ")
        assert client.command("RCPT TO:<j\x01e@joedomain.net>")[0].startswith(b"555 ")
        assert client.command("vrfy joe") == [b"250 child vrfy"]
        assert send(talk, b"a: b\r\n\r\n..dot\r\n.dot\r\nx\ry\r\n") == b"250 child has it"
        assert client.command("QUIT") == [b"221 child bye"]
        assert client.rest() == b""
    assert heard(home) == (
        b"EHLO foo?bar\r\nMAIL FROM:<a@example.net> SIZE=5 BODY=8BITMIME\r\n"
        b'RCPT TO:<joe@joedomain.net> NOTIFY=NEVER\r\nRCPT TO:<"j o\\"e"@joedomain.net>\r\n'
        b"VRFY joe\r\nDATA\r\na: b\r\n\r\n..dot\r\n.dot\r\nx\ry\r\n.\r\nQUIT\r\n"
    )


def test_qmail_ldaps_log_says_what_it_says_without_a_wrapped_smtpd(
    kind: str, home: QmailHome, other_home: QmailHome
) -> None:
    told = {"QMAILFORK_LOG": "qmail-ldap", "LOGLEVEL": "4", "SMTPEXTFORK": "fakes/exit 100", "XF_QUITASAP": "1"}
    logs = []
    for place, program in ((home, []), (other_home, child(other_home, "EHLO=250 child"))):
        with session(kind, place, place.environment(**told), program) as talk:
            for line in ("HELO foo", "VRFY joe", "HELP", "RCPT TO:<joe@joedomain.net>", "NOOP", "RSET", "EHLO bar"):
                talk.client.command(line)
            talk.client.command("MAIL FROM:<a@example.net>")
            talk.client.command("DATA")
            assert rcpt(talk, "joe").startswith(b"554 ")
            assert talk.client.rest() == b""
            logs.append([line.partition(": ")[2] for line in talk.log()])
    assert logs[0] == logs[1]
    assert logs[0][1:] == [
        "remote helo: foo", "vrfy for: joe", "help requested", "'mail from' first", "'noop'", "remote rset",
        "remote ehlo: bar", "mail from: a@example.net", "'rcpt to' first",
        "'rcpt to' denied via fakes/exit (Extfork_100): joe@joedomain.net", "force closing connection",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("own", "told"), [("", b"2"), ("/250 LIMITS RCPTMAX=9", b"2"), ("/250 LIMITS RCPTMAX=1", b"1")]
)
def test_the_limit_that_a_client_meets_is_told(kind: str, home: QmailHome, own: str, told: bytes) -> None:
    deed = ("EHLO=250-child" + own) if own else "EHLO=250 child"
    with wrapped(kind, home, deed.replace(" ", "_"), MAXRECIPIENTS="2") as talk:
        offered = talk.client.command("EHLO foo")
        assert [line[4:] for line in offered if b"LIMITS" in line] == [b"LIMITS RCPTMAX=" + told]
        talk.client.command("MAIL FROM:<a@example.net>")
        assert [rcpt(talk, "joe")[:3] for _ in range(3)] == [b"250", b"250", b"452"]


def test_no_control_files_are_needed(kind: str, home: QmailHome) -> None:
    home.control(me=None, rcpthosts=None)
    with wrapped(kind, home, "RCPT=550 not here") as talk:
        begin(talk)
        assert talk.client.command("RCPT TO:<b@elsewhere.org>") == [b"550 not here"]
        wait_for(lambda: any("Reject::RCPT::Wrapped_550" in line for line in talk.log()), what="the line")
    assert b"RCPT TO:<b@elsewhere.org>\r\n" in heard(home)


def test_what_it_offers(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home) as talk:
        for _ in range(2):
            assert talk.client.command("EHLO foo") == [
                b"250-child", b"250-SIZE 1000000", b"250-X-ODD a b", b"250 PIPELINING",
            ]  # fmt: skip
        for line in ("STARTTLS", "BDAT 5 LAST", "XCLIENT NAME=x", "BURL x", "TURN"):
            assert talk.client.command(line) == [b"502 unimplemented (#5.5.1)"]
        assert [line.split("'")[1] for line in talk.log() if "Wrapped_Hidden" in line] == ["STARTTLS,CHUNKING"]
    assert heard(home) == b"EHLO foo\r\n" * 2


def test_parameters_that_it_offers_reach_it(kind: str, home: QmailHome) -> None:
    offer = "EHLO=250-child/250-SMTPUTF8/250-DSN/250_REQUIRETLS"
    says = "MAIL FROM:<jürgen@example.net> SMTPUTF8 RET=HDRS ENVID=a+2Bb REQUIRETLS".encode()
    with wrapped(kind, home, offer) as talk:
        assert talk.client.command("EHLO foo")[1:4] == [b"250-SMTPUTF8", b"250-DSN", b"250-REQUIRETLS"]
        assert talk.client.command(says) == [b"250 child mail"]
        to = "RCPT TO:<josé@joedomain.net> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;josé@joedomain.net".encode()
        assert talk.client.command(to) == [b"250 child rcpt"]
    assert heard(home).startswith(b"EHLO foo\r\n" + says + b"\r\n" + to + b"\r\n")


def test_requiretls_is_not_passed_over_where_it_offers_none(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home) as talk:
        begin(talk)
        assert talk.client.command("MAIL FROM:<a@example.net> REQUIRETLS")[0].startswith(b"555 ")
    assert b"REQUIRETLS" not in heard(home)


def test_starttls_let_through(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home, QMAILFORK_BLIND="starttls") as talk:
        assert b"250-STARTTLS" in talk.client.command("EHLO foo")
        talk.client.send(b"STARTTLS\r\nRSET\r\n")
        assert talk.client.reply() == [b"220 go ahead"]
        talk.client.send(b"\x16\x03\n")
        assert talk.client.read_line() == b"seen \x16\x03\n"
        assert any("Info::SNDR::Wrapped_Blind" in line for line in talk.log())
        talk.client.half_close()
        assert talk.client.rest() == b""
    assert heard(home) == b"EHLO foo\r\nSTARTTLS\r\n\x16\x03\n"


def test_silence_in_what_is_let_through(kind: str, home: QmailHome) -> None:
    home.control(timeoutsmtpd=b"1\n")
    with wrapped(kind, home, QMAILFORK_BLIND="starttls") as talk:
        talk.client.command("EHLO foo")
        assert talk.client.command("STARTTLS") == [b"220 go ahead"]
        assert talk.client.rest() == b""
        assert talk.status() in (None, 1)


def test_login_makes_a_relay_client(kind: str, home: QmailHome) -> None:
    lists = {"SMTPEXTFORK": "fakes/exit 100", "SMTPEXTFORKR": "fakes/match no@elsewhere.org 101"}
    with wrapped(kind, home, **lists) as talk:
        assert talk.client.command("AUTH LOGIN") == [b"334 VXNlcg=="]
        assert talk.client.command("am9l") == [b"235 welcome"]
        begin(talk)
        assert talk.client.command("RCPT TO:<no@elsewhere.org>")[0].startswith(b"454 ")
        assert talk.client.command("RCPT TO:<b@elsewhere.org>") == [b"250 child rcpt"]
        assert not any("am9l" in line for line in talk.log())
    assert heard(home).startswith(b"AUTH LOGIN\r\nam9l\r\nEHLO")


def test_headers_go_before_the_message(kind: str, home: QmailHome) -> None:
    checker = home.path / "bin" / "headers"
    checker.write_text("#!/bin/sh\necho 'Header: X-A: b'\n")
    checker.chmod(0o755)
    with wrapped(kind, home, SMTPEXTFORK="bin/headers", SMTPEXTFORKHEADERS="1") as talk:
        begin(talk)
        rcpt(talk, "joe")
        assert send(talk).startswith(b"250 ")
    assert b"DATA\r\nX-A: b\r\nSubject: x\r\n" in heard(home)


def test_pipelining_for_a_child_without(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home) as talk:
        talk.client.send(
            b"EHLO foo\r\nMAIL FROM:<>\r\nRCPT TO:<joe@joedomain.net>\r\nDATA\r\nhello\r\n.\r\nNOOP\r\nQUIT\r\n"
        )
        lines = talk.client.rest().split(b"\r\n")
    assert [line[:3] for line in lines[4:]] == [b"250", b"250", b"354", b"250", b"250", b"221", b""]


def test_a_stray_newline_never_completes_a_message(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home) as talk:
        begin(talk)
        rcpt(talk, "joe")
        talk.client.command("DATA")
        talk.client.send(b"a\r\n.\nMAIL FROM:<b@example.net>\r\n.\r\n")
        assert talk.client.rest().startswith(b"451 See ")
    assert not heard(home).endswith(b".\r\n")
    assert b"b@example.net" not in heard(home)


def test_a_dot_before_a_lone_cr_is_doubled(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home) as talk:
        begin(talk)
        rcpt(talk, "joe")
        assert send(talk, b".\r\r\nx\r\n.\r\rMAIL\r\n") == b"250 child has it"
    assert heard(home).endswith(b"DATA\r\n..\r\r\nx\r\n..\r\rMAIL\r\n.\r\n")


def test_a_client_that_leaves_within_a_message(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home) as talk:
        begin(talk)
        rcpt(talk, "joe")
        talk.client.command("DATA")
        talk.client.send(b"hello\r\n")
        talk.client.half_close()
        assert talk.client.rest() == b""
    assert heard(home).endswith(b"hello\r\n")


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "DATA", "DOT", "QUIT"])
@pytest.mark.parametrize(("deed", "word"), [("dies", "Gone"), ("hangs", "Timeout"), ("rubbish", "Protocol")])
def test_a_child_that_fails(kind: str, verb: str, deed: str, word: str, home: QmailHome) -> None:
    with wrapped(kind, home, f"{verb}={deed}", QMAILFORK_CHILDTIMEOUT="3") as talk:
        talk.client.send(b"EHLO foo\r\nMAIL FROM:<>\r\nRCPT TO:<joe@joedomain.net>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n")
        assert talk.client.rest().endswith(LOST + b"\r\n")
        assert sum(f"Error::SNDR::Wrapped_{word}" in line for line in talk.log()) == 1


def test_a_child_that_dies_while_it_is_told_a_message(kind: str, home: QmailHome) -> None:
    with session(kind, home, home.environment(), ["/bin/sh", "-c", DIES]) as talk:
        begin(talk)
        rcpt(talk, "joe")
        talk.client.command("DATA")
        talk.client.send(b"x" * 70 + b"\r\n")
        talk.client.send((b"y" * 70 + b"\r\n") * 30000 + b".\r\n")
        assert talk.client.reply() == [LOST]


DIES = """\
echo 220 sh; for reply in 250 250 250 354; do read line; echo "$reply ok"; done; read line; exit 1
"""


def test_a_child_that_says_too_much(kind: str, home: QmailHome) -> None:
    """One reply more would be taken for the next command's, and so on to the end."""
    with wrapped(kind, home, "RCPT=more") as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"250 one"
        assert talk.client.command("DATA") == [LOST]
    assert b"DATA" not in heard(home)


def test_a_child_that_says_goodbye(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home, "RCPT=421") as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"421 child leaves"
        assert talk.client.rest() == b""


@pytest.mark.parametrize("program", ["/nonexistent/smtpd", "no-such-smtpd"])
def test_a_child_that_is_not_there(kind: str, program: str, home: QmailHome) -> None:
    with serving(kind, home, home.environment(), [program]) as opened, opened() as talk:
        assert talk.client.rest() == LOST + b"\r\n"
        assert any("Error::SNDR::Wrapped_Exec" in line and program in line for line in talk.log())


def test_a_child_that_does_not_end_is_killed(kind: str, home: QmailHome) -> None:
    pid = home.path / "pid"
    stubborn = f'trap "" HUP TERM; echo $$ > {pid}; echo 220 sh; while :; do sleep 1; done'
    with session(kind, home, home.environment(), ["/bin/sh", "-c", stubborn]) as talk:
        talk.client.close()
        wait_for(lambda: not alive(int(Path(pid).read_text())), what="its end")


needs_reference = pytest.mark.skipif(not reference_there(), reason="needs the C qmail-smtpd, root and mount namespaces")


@contextmanager
def before_the_c_server(kind: str, home: QmailHome) -> Iterator[int]:
    """The port of a server that wraps the C qmail-smtpd."""
    env = home.environment(
        QMAILQUEUE=str(home.path / "bin" / "qmail-queue"), SMTPEXTFORK="fakes/match no@joedomain.net 100"
    )
    tail = ["-1", "-H", "-R", "-l", "mail.joedomain.net", "127.0.0.1", "0"]
    ours = ["tcpserver", *tail, *smtpd()] if kind == "stdio" else qmailfork("listen", *tail)
    kept = {name: value for name, value in env.items() if not name.startswith("TCP")}
    argv = in_namespace(home.path / "control", *ours, str(REFERENCE))
    with listening(argv, kept, home.path / "server.log", "127.0.0.1") as server:
        yield server.port


@needs_reference
def test_clients(kind: str, home: QmailHome) -> None:
    """smtplib and swaks send through it, and are refused as by the C server alone."""
    with before_the_c_server(kind, home) as port:
        with smtplib.SMTP("127.0.0.1", port) as client:
            refused = client.sendmail(
                "a@example.net", ["joe@joedomain.net", "no@joedomain.net", "x@else.org"], "Subject: 1\n\n.dot\n"
            )
        swaks = subprocess.run(
            ["swaks", "--server", f"127.0.0.1:{port}", "--to", "jim@joedomain.net", "--from", "a@example.net"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert {name: code for name, (code, _) in refused.items()} == {"no@joedomain.net": 554, "x@else.org": 553}
    assert swaks.returncode == 0, swaks.stdout
    stored = home.messages()
    assert [message.recipients for message in stored] == [(b"joe@joedomain.net",), (b"jim@joedomain.net",)]
    assert stored[0].body == b"Subject: 1\n\n.dot\n"
