"""In front of another smtpd, 250 is said for a message that it has taken to the end, and then it is said."""

import pytest

from tests.drivers.test_stdio_ends import pending
from tests.servers import Talk
from tests.sessions import KINDS, begin, rcpt, session
from tests.smtpclient import Client
from tests.support import QmailHome, qmailfork, wait_for
from tests.test_wrapper import LOST, heard, wrapped
from tests.warm import NO_NAMES, start

TO_DATA = 'echo 220 sh; for reply in 250 250 250 354; do read line; echo "$reply ok"; done\n'
EARLY = TO_DATA + "read line; echo 250 early; echo $$ >said\n"
GONE = "exit 0\n"
CHANGES_ITS_MIND = "while read line; do case $line in .*) echo 451 sorry;; esac; done\n"
HOLDS = (
    TO_DATA
    + """\
while read line; do
  case $line in .*) echo $$ >held; until [ -e go ]; do sleep 0.02; done; echo 250 mine ;; esac
done
"""
)


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def to_message(talk: Talk) -> Client:
    """The client of a session in which DATA was said, and 354."""
    begin(talk)
    rcpt(talk, "joe")
    assert talk.client.command("DATA")[0].startswith(b"354")
    return talk.client


@pytest.mark.parametrize("then", [GONE, CHANGES_ITS_MIND], ids=["gone", "changes-its-mind"])
@pytest.mark.parametrize("lines", [1, 30000])
@pytest.mark.parametrize("kind", KINDS)
def test_before_the_end_it_accepts_nothing(kind: str, lines: int, then: str, home: QmailHome) -> None:
    with session(kind, home, home.environment(), shell(EARLY + then)) as talk:
        client = to_message(talk)
        client.send(b"x\r\n")
        wait_for((home.path / "said").exists, what="its hasty word")
        client.send((b"y" * 70 + b"\r\n") * lines + b".\r\n")
        assert client.reply() == [LOST]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_long_arrives_whole(kind: str, home: QmailHome) -> None:
    text = b"".join(b"%069d\r\n" % number for number in range(30000))
    with wrapped(kind, home) as talk:
        client = to_message(talk)
        client.send(text + b".\r\n")
        assert client.reply() == [b"250 child has it"]
    assert heard(home).endswith(b"DATA\r\n" + text + b".\r\n")


@pytest.mark.parametrize("kind", KINDS)
def test_nor_where_it_takes_no_more(kind: str, home: QmailHome) -> None:
    with session(kind, home, home.environment(QMAILFORK_CHILDTIMEOUT="0.5"), shell(TO_DATA + "sleep 60\n")) as talk:
        client = to_message(talk)
        client.send((b"y" * 70 + b"\r\n") * 30000 + b".\r\n")
        assert client.reply() == [LOST]


@pytest.mark.parametrize("kind", KINDS)
def test_nor_before_the_message(kind: str, home: QmailHome) -> None:
    with wrapped(kind, home, "DATA=250_thanks") as talk:
        begin(talk)
        rcpt(talk, "joe")
        assert talk.client.command("DATA") == [LOST]


@pytest.mark.parametrize("kind", KINDS)
def test_but_it_may_refuse(kind: str, home: QmailHome) -> None:
    hasty = EARLY.replace("250 early", "552 too big") + CHANGES_ITS_MIND
    with session(kind, home, home.environment(), shell(hasty)) as talk:
        client = to_message(talk)
        client.send(b"x\r\n")
        wait_for((home.path / "said").exists, what="its hasty word")
        client.send(b"y\r\n.\r\n")
        assert client.reply() == [b"552 too big"]


def test_sigterm_waits_for_its_word(home: QmailHome) -> None:
    with session("stdio", home, home.environment(), shell(HOLDS)) as talk:
        client = to_message(talk)
        client.send(b"x\r\n.\r\n")
        wait_for((home.path / "held").exists, what="the message's end")
        assert talk.process
        pid = talk.process.pid
        talk.process.terminate()
        wait_for(lambda: pending(pid, 15), what="the signal to be held back")
        (home.path / "go").touch()
        assert client.rest() == b"250 mine\r\n"
        assert talk.status() == 1


def test_so_does_the_listeners_end(home: QmailHome) -> None:
    """The grace of its clients is over, as the other one hears."""
    options = (*NO_NAMES, "--grace", "0.5", "--workers", "1")
    argv = qmailfork("listen", "-1", *options, "127.0.0.1", "0", *shell(HOLDS))
    with start(argv, home, "listener", "127.0.0.1", {}) as server, server.connect() as client, server.connect() as idle:
        idle.reply()
        client.reply()
        to_message(Talk(client, server.log))
        client.send(b"x\r\n.\r\n")
        wait_for((home.path / "held").exists, what="the message's end")
        server.process.terminate()
        assert idle.rest().startswith(b"451 ")
        (home.path / "go").touch()
        assert client.reply() == [b"250 mine"]
