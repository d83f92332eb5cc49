"""qmail-spp plugins, RCPTCHECK programs, checkers on trial, and what a plain checker may say: on both drivers."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sessions import KINDS, begin, rcpt, send, serving, session
from tests.support import QmailHome, alive, wait_for

pytestmark = pytest.mark.parametrize("kind", KINDS)
PLUGIN = """\
case ${SMTPRCPTTO%@*} in
  refuse) echo "E553 not $SMTPMAILFROM to $SMTPRCPTTO, $SMTPHELOHOST"; echo "E550 too late" ;;
  nonsense) echo "Ego away" ;;
  reset) echo "R554 bye" ;;
  drop) echo D ;;
  header) echo "HX-Plugin: $SMTPRCPTCOUNT of $SMTPRCPTCOUNTALL, $SMTPRCPTHOSTSOK" ;;
  change) echo "Cother@elsewhere.example" ;;
  set) echo "SWORD=said" ;;
  unset) echo "UTCPREMOTEIP" ;;
  next) echo N ;;
  all) echo A ;;
  say) echo "P250-listen"; echo "P550-unheard" ;;
  later) echo "LM452 no more senders"; echo "LD451 not today" ;;
  last) echo "LM452 no more senders"; echo "LR452 no more recipients" ;;
  code) exit 120 ;;
  crash) kill -9 $$ ;;
esac
exit 7
"""


def script(home: QmailHome, name: str, text: str) -> str:
    """A program in sh in the home; its relative path."""
    file = home.path / "bin" / name
    file.write_text("#!/bin/sh\n" + text)
    file.chmod(0o755)
    return f"bin/{name}"


def plugin(home: QmailHome, *behind: str, **more: str) -> dict[str, str]:
    return home.environment(SMTPEXTFORK=",".join(["spp:" + script(home, "plugin", PLUGIN), *behind]), **more)


@pytest.mark.parametrize(
    ("local", "reply"),
    [
        ("joe", b"250 ok"),
        ("refuse", b"553 not a@example.net to refuse@joedomain.net, foo"),
        ("nonsense", b"451 go away"),
        ("code", b"451 sorry, temporary envelope failure due to local policy"),
        ("crash", b"451 sorry, temporary envelope failure due to local policy"),
    ],
)
def test_a_plugin_decides(kind: str, local: str, reply: bytes, home: QmailHome) -> None:
    with session(kind, home, plugin(home, SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert rcpt(talk, local) == reply
        assert rcpt(talk, "joe") == b"250 ok"


@pytest.mark.parametrize(("local", "said"), [("reset", b"554 bye\r\n"), ("drop", b"")])
def test_a_plugin_closes(kind: str, local: str, said: bytes, home: QmailHome) -> None:
    with session(kind, home, plugin(home)) as talk:
        begin(talk)
        talk.client.send(f"RCPT TO:<{local}@joedomain.net>\r\n".encode())
        assert talk.client.rest() == said


def test_a_plugin_changes_things(kind: str, home: QmailHome) -> None:
    with session(kind, home, plugin(home)) as talk:
        begin(talk)
        assert [rcpt(talk, local)[:3] for local in ("header", "change", "refuse", "header")] == [
            b"250", b"250", b"553", b"250",
        ]  # fmt: skip
        assert talk.client.command("RCPT TO:<say@joedomain.net>") == [b"250-listen", b"250 ok"]
        assert send(talk).startswith(b"250 ")
    stored = home.messages()[0]
    assert stored.message.startswith(b"X-Plugin: 0 of 1, 1\nX-Plugin: 2 of 4, 1\nReceived: ")
    assert stored.recipients[1] == b"other@elsewhere.example"


@pytest.mark.parametrize(
    ("does", "logged"),
    [
        ("echo C$UNSET", "''"),
        ("echo 'Ca b@joedomain.net'", "'a?b@joedomain.net'"),
        (r"printf 'Ca\177b@joedomain.net\n'", "'a?b@joedomain.net'"),
        ("printf 'C%0900d\\n' 0", f"'{'0' * 255}...'"),
    ],
)
def test_an_address_that_a_plugin_changes_to_none_is_left_out(
    kind: str, does: str, logged: str, home: QmailHome
) -> None:
    with session(kind, home, home.environment(SMTPEXTFORK=f"spp:{script(home, 'none', does)}")) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"250 ok"
        assert send(talk).startswith(b"250 ")
        assert [line.endswith(logged) for line in talk.log() if "Info::RCPT::Extfork_Address" in line] == [True]
    assert home.messages()[0].recipients == (b"joe@joedomain.net",)


@pytest.mark.parametrize("changed", ["!@x", "0" * 899])
def test_an_address_that_a_plugin_may_just_change_to(kind: str, changed: str, home: QmailHome) -> None:
    with session(kind, home, home.environment(SMTPEXTFORK=f"spp:{script(home, 'some', f'echo C{changed}')}")) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"250 ok"
        assert send(talk).startswith(b"250 ")
    assert home.messages()[0].recipients == (changed.encode(),)


def test_what_no_variable_can_be_is_passed_over(kind: str, home: QmailHome) -> None:
    odd = script(home, "odd", r"printf 'SLONE\nS=x\nSA\0B=x\nU\nUTCP=REMOTEIP\nUA\0B\nSLAST=x\n'")
    witness = script(home, "witness", f'echo "${{LONE-unset}} $LAST" >{home.path}/seen\n')
    with session(kind, home, home.environment(SMTPEXTFORK=f"spp:{odd},{witness}", SMTPEXTFORKFAIL="reject")) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"250 ok"
    assert (home.path / "seen").read_text() == "unset x\n"


def test_a_plugin_sets_what_later_programs_see(kind: str, home: QmailHome) -> None:
    seen = home.path / "seen"
    witness = script(home, "witness", f'echo "${{WORD-unset}} ${{TCPREMOTEIP-unset}}" >> {seen}\n')
    with session(kind, home, plugin(home, witness)) as talk:
        begin(talk)
        for local in ("joe", "set", "joe", "unset"):
            assert rcpt(talk, local) == b"250 ok"
    words = [line.split() for line in seen.read_text().splitlines()]
    assert [word for word, _ in words] == ["unset", "said", "said", "said"]
    assert [ip == "unset" for _, ip in words] == [False, False, False, True]


def test_a_plugin_ends_the_list(kind: str, home: QmailHome) -> None:
    with session(kind, home, plugin(home, "fakes/exit 100")) as talk:
        begin(talk)
        assert [rcpt(talk, local)[:3] for local in ("joe", "next", "joe", "all", "joe", "refuse")] == [
            b"554", b"250", b"554", b"250", b"554", b"554",
        ]  # fmt: skip


def test_a_plugin_refuses_later(kind: str, home: QmailHome) -> None:
    with session(kind, home, plugin(home)) as talk:
        begin(talk)
        assert rcpt(talk, "later") == b"250 ok"
        assert talk.client.command("DATA") == [b"451 not today"]
        assert talk.client.command("MAIL FROM:<>") == [b"452 no more senders"]
        assert talk.client.command("RSET") == [b"250 flushed"]
        assert talk.client.command("MAIL FROM:<>") == [b"250 ok"]
    assert home.messages() == []


def test_a_plugin_refuses_later_up_to_the_message(kind: str, home: QmailHome) -> None:
    with session(kind, home, plugin(home)) as talk:
        begin(talk)
        assert rcpt(talk, "last") == b"250 ok"
        assert rcpt(talk, "joe") == b"452 no more recipients"
        assert send(talk).startswith(b"250 ")
        assert talk.client.command("MAIL FROM:<>") == [b"250 ok"]
        assert rcpt(talk, "joe") == b"250 ok"
        assert send(talk).startswith(b"250 ")


def test_a_plugin_refuses_chunks_later(kind: str, home: QmailHome) -> None:
    with session(kind, home, plugin(home, QMAILFORK_EXTENSIONS="chunking")) as talk:
        begin(talk)
        assert rcpt(talk, "later") == b"250 ok"
        assert talk.client.command("BDAT 3 LAST\r\nx") == [b"451 not today"]
        assert any("Reject::DATA::Extfork_Later" in line for line in talk.log())
        assert talk.client.command("RSET") == [b"250 flushed"]
        begin(talk)
        assert rcpt(talk, "last") == b"250 ok"
        assert talk.client.command("BDAT 3 LAST\r\nx")[0].startswith(b"250 ")
        assert talk.client.command("MAIL FROM:<>") == [b"250 ok"]


def test_a_plugin_knows_who_the_client_has_proved_to_be(kind: str, home: QmailHome) -> None:
    told = 'spp::echo "E550 ${SMTPAUTHUSER-nobody} ${SMTPAUTHMETHOD-nothing}"'
    auth = {"SMTPAUTH": "", "QMAILFORK_AUTHINPLAIN": "1", "QMAILFORK_CHECKPASSWORD": "fakes/checkpassword"}
    with session(kind, home, home.environment(SMTPEXTFORK=told, SMTPEXTFORKR=told, **auth)) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"550 nobody nothing"
        assert talk.client.command("RSET") == [b"250 flushed"]
        assert talk.client.command("AUTH PLAIN AGpvZQBzZWNyZXQ=")[0].startswith(b"235 ")
        begin(talk)
        assert rcpt(talk, "joe") == b"550 joe plain"


def test_a_plugin_by_way_of_a_shell(kind: str, home: QmailHome) -> None:
    with session(kind, home, home.environment(SMTPEXTFORK='spp::echo "E550 $SMTPRCPTTO"')) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"550 joe@joedomain.net"


@pytest.mark.parametrize(
    ("does", "reply"),
    [
        ("exit 0", b"250 ok"),
        ("exit 112", b"250 ok"),
        ("exit 100", b"550 sorry, no mailbox here by that name. (#5.1.1)"),
        ("exit 111", b"421 unable to verify recipient (#4.3.0)"),
        ("exit 113", b"421 you have exceeded your messaging limits (#4.3.0)"),
        ("exit 120", b"554 sorry, permanent envelope failure due to local policy"),
        ('echo "452 $SENDER $RECIPIENT $HELO" >&4; exit 100', b"452 a@example.net joe@joedomain.net foo"),
        ('[ "$USE_FD4$RCPTHOSTS" = 11 ] && exit 100', b"550 sorry, no mailbox here by that name. (#5.1.1)"),
        ("echo nonsense >&4", b"451 temporary problem (#4.4.2)"),
        ("head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2", b"250 ok"),
        ("echo 550 much >&4; head -c 200000 /dev/zero >&4", b"550 much"),
    ],
)
def test_rcptcheck(kind: str, does: str, reply: bytes, home: QmailHome) -> None:
    check = script(home, "check", does + "\n")
    with session(kind, home, home.environment(SMTPEXTFORK=f"rcptcheck:{check}", SMTPEXTFORKFAIL="reject")) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == reply
        if reply.startswith(b"421"):
            assert talk.client.rest() == b""


@pytest.mark.parametrize("entry", ["fakes/exit 100", "spp:{plugin}", "rcptcheck:fakes/exit 100", "fakes/none"])
def test_on_trial(kind: str, entry: str, home: QmailHome) -> None:
    entry = entry.format(plugin=script(home, "plugin", PLUGIN))
    with session(kind, home, home.environment(SMTPEXTFORK=f"shadow:{entry}", SMTPEXTFORKFAIL="reject")) as talk:
        begin(talk)
        assert rcpt(talk, "refuse") == b"250 ok"
        assert sum("Shadow::RCPT::Extfork_" in line for line in talk.log()) == 1
        assert not any("Reject::" in line for line in talk.log())


def test_on_trial_nothing_has_an_effect(kind: str, home: QmailHome) -> None:
    trial = "shadow:spp:" + script(home, "plugin", PLUGIN)
    with session(kind, home, home.environment(SMTPEXTFORK=f"{trial},fakes/exit 100")) as talk:
        begin(talk)
        assert rcpt(talk, "next").startswith(b"554")


FILLER = """\
import os
os.set_blocking(2, False)
for size in (4096, 1):
    try:
        while True:
            os.write(2, b"x" * size)
    except BlockingIOError:
        pass
with open("full.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("full.new", "full")
os._exit(100)
"""
HEADERS = 'echo "Header: X-Plain: yes"; echo "Header: none"; echo "a remark"; echo "Header: X-Odd: a\tb\001c"\n'


@pytest.mark.parametrize("wanted", [True, False])
def test_headers_of_a_plain_checker(kind: str, wanted: bool, home: QmailHome) -> None:
    more = {"SMTPEXTFORKHEADERS": "1"} if wanted else {}
    checker = script(home, "headers", HEADERS)
    with session(kind, home, home.environment(SMTPEXTFORK=checker, **more)) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == rcpt(talk, "jim") == b"250 ok"
        assert send(talk).startswith(b"250 ")
    above = home.messages()[0].message.partition(b"Received: ")[0]
    assert above == (b"X-Plain: yes\nX-Odd: a\tb?c\n" if wanted else b"")


@pytest.mark.parametrize(
    ("says", "reply"),
    [
        ("no\tsuch \xe9 user\\nmore", b"554 no such ?? user"),
        ("Cache: session\\nHeader: X-A: b\\nwords", b"554 words"),
        ("", b"554 ours"),
        ("x" * 500, b"554 " + b"x" * 400),
    ],
)
def test_words_of_a_plain_checker(kind: str, says: str, reply: bytes, home: QmailHome) -> None:
    checker = script(home, "words", f"printf '{says}'\nexit 100\n")
    variables = home.environment(SMTPEXTFORK=checker, SMTPEXTFORKREPLY="1", SMTPEXTFORK554="ours")
    with session(kind, home, variables) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == reply


def test_a_verdict_for_the_session(kind: str, home: QmailHome) -> None:
    runs = home.path / "runs"
    checker = script(home, "cached", f'echo x >> {runs}\necho "Cache: session"\necho "Header: X-Seen: once"\n')
    variables = home.environment(SMTPEXTFORK=f"{checker},fakes/match no@joedomain.net 101", SMTPEXTFORKHEADERS="1")
    with serving(kind, home, variables) as opened:
        for session_number in (1, 2):
            with opened() as talk:
                talk.client.reply()
                begin(talk)
                assert {rcpt(talk, f"joe{number}") for number in range(50)} == {b"250 ok"}
                assert rcpt(talk, "no").startswith(b"454")
                assert send(talk).startswith(b"250 ")
                begin(talk)
                assert rcpt(talk, "joe") == b"250 ok"
            assert len(Path(runs).read_text().split()) == session_number
    assert home.messages()[0].message.startswith(b"X-Seen: once\nReceived: ")


def test_a_checker_that_makes_the_log_non_blocking_costs_no_line(kind: str, home: QmailHome) -> None:
    log = home.path / ("log" if kind == "stdio" else "listener.log")
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    checker = home.path / "bin" / "filler"
    checker.write_text(f"#!{sys.executable}\n{FILLER}")
    checker.chmod(0o755)
    told = bytearray()

    def is_told() -> bool:
        with suppress(BlockingIOError):
            told.extend(os.read(reader, 65536))
        return b" Reject::RCPT::Extfork_100 " in told

    with session(kind, home, home.environment(SMTPEXTFORK="bin/filler")) as talk:
        begin(talk)
        talk.client.send(b"RCPT TO:<joe@joedomain.net>\r\n")
        wait_for((home.path / "full").exists, what="a full log")
        wait_for(lambda: not alive(int((home.path / "full").read_text())), what="the checker's end")
        wait_for(is_told, what="the refusal")
        assert talk.client.reply()[0].startswith(b"554 ")
    os.close(reader)


def test_one_deadline_for_the_whole_list(kind: str, home: QmailHome) -> None:
    variables = home.environment(
        SMTPEXTFORK="fakes/hang,fakes/hang,fakes/exit 0", SMTPEXTFORKTOTAL="0.4", SMTPEXTFORKFAIL="pass"
    )
    with session(kind, home, variables) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"250 ok"
        words = [line.split("Extfork_")[1].split()[0] for line in talk.log() if "Error::" in line]
        assert words == ["Timeout", "Total"]


def test_no_time_left_is_a_failure(kind: str, home: QmailHome) -> None:
    variables = home.environment(
        SMTPEXTFORK="shadow:fakes/hang,fakes/exit 0", SMTPEXTFORKTOTAL="0.2", SMTPEXTFORKFAIL="defer"
    )
    with session(kind, home, variables) as talk:
        begin(talk)
        assert rcpt(talk, "joe").startswith(b"451")
