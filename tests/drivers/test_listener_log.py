"""The listener's log is tcpserver's, line by line, but for the numbers of processes and ports."""

import re
from collections.abc import Callable

import pytest

from tests.support import QmailHome, wait_for
from tests.ucspi import Server, tcprules
from tests.warm import BOTH, ENVELOPE, NO_NAMES, Starter, cold, from_address, said, send_message, warm


def one_session(server: Server) -> None:
    with server.connect() as client:
        send_message(client)
        client.command("QUIT")
        client.rest()


def one_refused_recipient(server: Server) -> None:
    with server.connect() as client:
        said(client, *ENVELOPE[:2], "RCPT TO:<x@elsewhere.example>", "QUIT")
        client.rest()


def one_that_vanishes(server: Server) -> None:
    with server.connect() as client:
        said(client, *ENVELOPE, "DATA")
        client.send(b"half")


def one_denied(server: Server) -> None:
    with from_address(server, "127.0.0.2") as client:
        client.rest()


def two_at_once(server: Server) -> None:
    """The log of each step is there before the next."""
    with server.connect() as first:
        first.reply()
        with server.connect() as second:
            second.reply()
            wait_for(lambda: "status: 2/" in "".join(server.log()) or not server.log(), what="both")
            second.command("QUIT")
            second.rest()
            wait_for(lambda: "tcpserver: end" in "".join(server.log()) or not server.log(), what="the first end")
        first.command("QUIT")
        first.rest()


SCENES = [one_session, one_refused_recipient, one_that_vanishes, one_denied, two_at_once]


def masked(line: str, server: Server) -> str:
    """A line without the numbers that differ from run to run."""
    line = re.sub(rf":{server.port}\b", ":PORT", line)
    line = re.sub(r"^(tcpserver: (?:pid|ok|deny|end)|qmail-smtpd: pid) \d+", r"\1 N", line)
    return re.sub(r":\d+$", ":REMOTE", line) if line.startswith(("tcpserver: ok", "tcpserver: deny")) else line


def log_of(start: Starter, scene: Callable[[Server], None], home: QmailHome, *options: str) -> list[str]:
    """The lines of one scene, once the server has nobody to serve."""
    rules = tcprules(home.path, "127.0.0.2:deny\n:allow\n")
    with start(home, *NO_NAMES, *options, "-x", str(rules)) as server:
        scene(server)
        if "-v" in options:
            ends = 2 if scene is two_at_once else 1
            wait_for(lambda: sum(": end " in line for line in server.log()) == ends, what="the ends")
            wait_for(lambda: server.log()[-1] == "tcpserver: status: 0/40", what="the last status")
        else:
            one_session(server)  # its line comes after the scene's
            wait_for(lambda: any("jim" in line or "Accept" in line for line in server.log()), what="the session's line")
        return [masked(line, server) for line in server.log()]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_v(scene: Callable[[Server], None], home: QmailHome) -> None:
    theirs = log_of(cold, scene, home, "-v")
    ours = log_of(warm, scene, home, "-v", "--workers", "2")
    assert ours == theirs
    assert theirs[0] == "tcpserver: status: 0/40"


@pytest.mark.parametrize("option", ["-q", "-Q", None])
@pytest.mark.parametrize("scene", SCENES[:4], ids=lambda scene: scene.__name__)
def test_q(scene: Callable[[Server], None], option: str | None, home: QmailHome) -> None:
    options = [option] if option else []
    theirs = log_of(cold, scene, home, *options)
    ours = log_of(warm, scene, home, *options, "--workers", "2")
    assert sorted(ours) == sorted(theirs)
    assert not any(line.startswith("tcpserver: ") for line in ours)


@pytest.mark.parametrize("start", BOTH)
def test_each_session_has_its_own_number(start: Starter, home: QmailHome) -> None:
    with start(home, *NO_NAMES, "-v") as server:
        for _ in range(10):
            one_session(server)
        wait_for(lambda: sum(": end " in line for line in server.log()) == 10, what="the ends")
        sessions: dict[str, list[str]] = {}
        for line in server.log():
            if found := re.match(r"(?:tcpserver: (pid|ok|end)|qmail-smtpd: (pid)) (\d+)", line):
                sessions.setdefault(found[3], []).append(line)
    assert len(sessions) == 10
    for lines in sessions.values():
        assert [line.split()[1] for line in lines] == ["pid", "ok", "pid", "end"]
        assert "Accept::RCPT" in lines[2]


def test_nobody_writes_a_line_of_his_own(home: QmailHome) -> None:
    rules = tcprules(home.path, ':allow,TCPREMOTEHOST="x"\n')
    with warm(home, "-H", "-R", "-l", "a b%c\x7f" + "x" * 120, "-v", "-x", str(rules)) as server:
        one_session(server)
        line = server.wait_log("tcpserver: ok")
    assert line.split(" ")[3].startswith("a?b?c?" + "x" * 94 + "...:127.0.0.1:")


@pytest.mark.parametrize("start", BOTH)
@pytest.mark.parametrize("named", ["/nonexistent", "relative", "/etc/passwd"])
def test_a_home_that_cannot_be_entered(start: Starter, named: str, home: QmailHome) -> None:
    rules = tcprules(home.path, f':allow,QMAILHOME="{named}"\n')
    with start(home, *NO_NAMES, "-v", "-x", str(rules)) as server:
        with server.connect() as client:
            assert client.rest() == b"421 unable to read controls (#4.3.0)\r\n"
        server.wait_log("status 256")
        line = server.wait_log("Controls")
    assert re.match(rf"qmail-smtpd: pid \d+ Error::SNDR::Controls P:ESMTP S:127.0.0.1:unknown H: '.*{named}", line)


@pytest.mark.parametrize("length", [99, 100, 101])
def test_a_long_name_is_cut_where_tcpserver_cuts_it(length: int, home: QmailHome) -> None:
    options = ("-v", "-l", "x" * length)
    assert log_of(warm, one_session, home, *options) == log_of(cold, one_session, home, *options)


@pytest.mark.parametrize(("option", "told"), [("-q", False), ("-Q", True), ("-v", True)])
def test_errors_are_told_unless_q(option: str, told: bool, home: QmailHome) -> None:
    rules = tcprules(home.path, ":allow\n")
    with warm(home, *NO_NAMES, option, "--workers", "1", "-x", str(rules)) as server:
        one_session(server)
        rules.unlink()
        for _ in range(3):
            one_session(server)
        lines = [line for line in server.log() if "keeping the old rules" in line]
    assert lines == ([f"tcpserver: warning: keeping the old rules: {rules}: file does not exist"] if told else [])
