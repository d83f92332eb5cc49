"""Whose message was taken hears so, whatever comes between: who does not would send it again (RFC 1047)."""

import os
import signal
import sys

import pytest

from tests.drivers.session import HELO, MAIL, RCPT
from tests.listeners import LISTENERS
from tests.servers import Talk, serve
from tests.sessions import KINDS, begin, rcpt, send, session
from tests.support import QmailHome, qmailfork, smtpd, wait_for
from tests.warm import NO_NAMES, start

MESSAGE = b"Subject: x\r\n\r\nhello\r\n.\r\n"
NEXT = b"MAIL FROM:<b@example.net>\r\nRCPT TO:<slow@joedomain.net>\r\n"
WITHOUT_CHILDREN = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""


CHECKER = """#!/bin/sh
case $REMOTERCPT in slow*) echo $$ >asked; until [ -e go ]; do sleep 0.02; done; esac
"""


def waiting_checker(home: QmailHome) -> str:
    """A checker that lets the recipient `slow` wait for the file `go`, and tells by the file `asked` that it does."""
    file = home.path / "bin" / "wait"
    file.write_text(CHECKER)
    file.chmod(0o755)
    return "bin/wait"


@pytest.mark.parametrize("wraps", [False, True], ids=["alone", "wrapping"])
@pytest.mark.parametrize("kind", KINDS)
def test_before_a_checker_is_asked_about_the_next_message(kind: str, wraps: bool, home: QmailHome) -> None:
    program = [sys.executable, str(home.fakes / "smtpd"), "/dev/null"] if wraps else []
    with session(kind, home, home.environment(SMTPEXTFORK=waiting_checker(home)), program) as talk:
        begin(talk)
        rcpt(talk, "joe")
        assert talk.client.command("DATA")[0].startswith(b"354")
        talk.client.send(MESSAGE + NEXT + b"QUIT\r\n")
        assert talk.client.reply()[0].startswith(b"250")
        wait_for((home.path / "asked").exists, what="the checker")
        (home.path / "go").touch()
        assert [line[:3] for line in talk.client.rest().splitlines()] == [b"250", b"250", b"221"]


def test_before_sigterm_ends_the_checker_of_the_next_message(home: QmailHome) -> None:
    with session("stdio", home, home.environment(SMTPEXTFORK=waiting_checker(home))) as talk:
        assert talk.process
        begin(talk)
        rcpt(talk, "joe")
        talk.client.command("DATA")
        talk.client.send(MESSAGE + NEXT)
        wait_for((home.path / "asked").exists, what="the checker")
        talk.process.terminate()
        assert talk.client.rest().count(b"250 ok ") == len(home.messages()) == 1


@pytest.mark.parametrize("behind", [b"", NEXT], ids=["alone", "pipelined"])
def test_where_who_brought_the_client_has_gone(behind: bytes, home: QmailHome) -> None:
    home.queue("queue-held")
    with LISTENERS.hand_over(home, home.environment()) as talk:
        assert talk.process
        talk.client.reply()
        for line in (HELO, MAIL, RCPT, "DATA"):
            talk.client.command(line)
        talk.client.send(MESSAGE + behind)
        wait_for((home.stored / ".pid").exists, what="the queue")
        talk.process.terminate()
        talk.process.wait(30)
        (home.stored / ".go").touch()
        assert talk.client.rest().startswith(b"250 ok ")
    assert len(home.messages()) == 1


def test_where_children_are_nobodys_affair(home: QmailHome) -> None:
    """SIGCHLD was ignored by whoever started us: then wait(2) tells of no child how it ended."""
    started = [sys.executable, "-c", WITHOUT_CHILDREN, *smtpd()]
    with serve(started, home, home.environment(SMTPEXTFORK="fakes/exit 101")) as talk:
        talk.client.reply()
        begin(talk)
        assert rcpt(talk, "joe").startswith(b"454")
    with serve(started, home, home.environment()) as talk:
        talk.client.reply()
        take(talk)
    assert len(home.messages()) == 1


def test_nor_the_listeners(home: QmailHome) -> None:
    argv = [sys.executable, "-c", WITHOUT_CHILDREN, *qmailfork("listen", "-1", *NO_NAMES, "127.0.0.1", "0")]
    with start(argv, home, "listener", "127.0.0.1", {}) as server, server.connect() as client:
        client.reply()
        take(Talk(client, server.log))
    assert len(home.messages()) == 1


LEAVES_A_READER = """#!/bin/sh
exec 3<&0
sleep 60 <&3 2>/dev/null &
echo $! >left
"""


@pytest.mark.parametrize("kind", KINDS)
def test_not_by_a_queue_that_left_its_message_to_a_child(kind: str, home: QmailHome) -> None:
    """It said that all is well, and nobody reads on."""
    home.queue(None)
    program = home.path / "bin" / "qmail-queue"
    program.write_text(LEAVES_A_READER)
    program.chmod(0o755)
    try:
        with session(kind, home, home.environment()) as talk:
            begin(talk)
            rcpt(talk, "joe")
            assert send(talk, b"x" * 70 * 1024 + b"\r\n")[:3] == b"451"
    finally:
        os.kill(int((home.path / "left").read_text()), signal.SIGKILL)


def take(talk: Talk) -> None:
    begin(talk)
    rcpt(talk, "joe")
    assert send(talk).startswith(b"250 ok ")
