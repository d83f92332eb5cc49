"""Control files and environment → Settings (system/config.py); and what a session says where they cannot be read."""

import os
import subprocess
from pathlib import Path

import pytest

from qmailfork.conversation.settings import MOST_SECONDS, ControlFault, Settings
from qmailfork.programs import journal
from qmailfork.system import config
from tests.support import PYTHON, ROOT, QmailHome, run_session, smtpd
from tests.system.privilege import held_back

FILES = (
    "me",
    "smtpgreeting",
    "localiphost",
    "timeoutsmtpd",
    "rcpthosts",
    "morercpthosts.cdb",
    "badmailfrom",
    "databytes",
)
MAIL = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<x@elsewhere.org>\r\nQUIT\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"


def read(home: QmailHome, environment: dict[bytes, bytes] | None = None) -> Settings:
    return config.settings(config.Controls(bytes(home.path)), environment or {})


def test_without_any_but_me(home: QmailHome) -> None:
    home.control(rcpthosts=None)
    settings = read(home)
    assert settings.greeting == settings.local_host == b"mail.joedomain.net"
    assert (settings.seconds, settings.databytes) == (1200, 0)
    assert settings.rcpthosts is settings.more_rcpthosts is settings.relay_suffix is None
    assert settings.bad_senders == frozenset()
    assert settings.queue == b"bin/qmail-queue"
    assert (settings.checkers.entries, settings.checkers.complaints, settings.loglevel) == ([], [], 0)


def test_with_all_of_them(home: QmailHome) -> None:
    home.control(
        smtpgreeting="smtp.joedomain.net hello \n",
        localiphost="host.joedomain.net\n",
        timeoutsmtpd="60\n",
        rcpthosts="# ours\nJoedomain.NET\n.sub.Org \n\n",
        badmailfrom="Evil@Example.net\n@BAD.example\n",
        databytes="1000\n",
    )
    home.more_rcpthosts(["more.example"])
    settings = read(home)
    assert settings.greeting == b"smtp.joedomain.net hello"
    assert settings.local_host == b"host.joedomain.net"
    assert (settings.seconds, settings.databytes) == (60, 1000)
    assert settings.rcpthosts == {b"joedomain.net", b".sub.org"}
    assert settings.bad_senders == {b"evil@example.net", b"@bad.example"}
    assert settings.more_rcpthosts is not None
    assert settings.more_rcpthosts(b"more.example")
    assert not settings.more_rcpthosts(b"less.example")


def test_a_greeting_will_do_without_me(home: QmailHome) -> None:
    home.control(me=None, smtpgreeting="smtp.joedomain.net\n")
    settings = read(home)
    assert (settings.greeting, settings.local_host) == (b"smtp.joedomain.net", None)


def test_neither_me_nor_greeting_is_a_fault(home: QmailHome) -> None:
    home.control(me=None)
    with pytest.raises(ControlFault, match=r"/control/: neither me nor smtpgreeting$"):
        read(home)


def test_more_rcpthosts_counts_only_beside_rcpthosts(home: QmailHome) -> None:
    home.more_rcpthosts(["more.example"])
    home.control(rcpthosts=None)
    assert read(home).more_rcpthosts is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1", 1), ("0", 1), ("x", 1200), ("", 1200), ("30 s", 30), ("99999999999", MOST_SECONDS)],
)
def test_timeoutsmtpd(home: QmailHome, text: str, seconds: int) -> None:
    home.control(timeoutsmtpd=text)
    assert read(home).seconds == seconds


@pytest.mark.parametrize(("text", "octets"), [("x", 0), ("", 0), ("23 octets", 23), ("4294967296", 4294967296)])
def test_databytes(home: QmailHome, text: str, octets: int) -> None:
    home.control(databytes=text)
    assert read(home).databytes == octets
    home.control(databytes="5")
    assert read(home, {b"DATABYTES": text.encode()}).databytes == octets


def test_the_environment(home: QmailHome) -> None:
    settings = read(home, {b"RELAYCLIENT": b"", b"QMAILQUEUE": b"/q", b"SMTPEXTFORKR": b"/r"})
    assert (settings.relay_suffix, settings.queue) == (b"", b"/q")
    assert settings.checkers.entries[0].argv == [b"/r"]


@pytest.mark.parametrize(
    ("environment", "ip", "host", "info", "local"),
    [
        ({}, b"unknown", b"unknown", None, b"unknown"),
        ({b"TCPLOCALIP": b"192.0.2.1"}, b"unknown", b"unknown", None, b"192.0.2.1"),
        (
            {b"TCPREMOTEIP": b"203.0.113.7", b"TCPREMOTEHOST": b"", b"TCPREMOTEINFO": b"", b"TCPLOCALHOST": b"me",
             b"TCPLOCALIP": b"192.0.2.1"},
            b"203.0.113.7", b"", b"", b"me",
        ),
    ],
)  # fmt: skip
def test_the_peer(environment: dict[bytes, bytes], ip: bytes, host: bytes, info: bytes | None, local: bytes) -> None:
    peer = config.peer(environment)
    assert (peer.ip, peer.host, peer.info, peer.local) == (ip, host, info, local)


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({b"QMAILFORK_LOG": b"qmail-ldap"}, 0),
        ({b"QMAILFORK_LOG": b"qmail-ldap", b"LOGLEVEL": b"3"}, 3),
        ({b"QMAILFORK_LOG": b"qmail-ldap", b"LOGLEVEL": b"255"}, 4),
        ({b"QMAILFORK_LOG": b"qmail-ldap", b"LOGLEVEL": b"x"}, 0),
        ({b"QMAILFORK_LOG": b"json", b"LOGLEVEL": b"3"}, 0),
        ({b"LOGLEVEL": b"3"}, 0),
    ],
)
def test_the_loglevel(home: QmailHome, environment: dict[bytes, bytes], level: int) -> None:
    assert read(home, environment).loglevel == level


def test_the_style() -> None:
    assert config.style({}) is config.style({b"QMAILFORK_LOG": b"spamcontrol"}) is journal.spamcontrol
    assert config.style({b"QMAILFORK_LOG": b"loud"}) is journal.spamcontrol
    assert config.style({b"QMAILFORK_LOG": b"json"}).__module__ == "qmailfork.programs.jsonlines"
    assert config.style({b"QMAILFORK_LOG": b"qmail-ldap", b"LOGLEVEL": b"1"}) is not journal.spamcontrol


def test_a_style_that_there_is_not_is_told(home: QmailHome) -> None:
    assert read(home, {b"QMAILFORK_LOG": b"loud"}).checkers.complaints == [b"QMAILFORK_LOG=loud"]


class TestSessionsWhoseControlsCannotBeRead:
    """Each says 421, exits 1 and writes one line that names the file; no traceback ever."""

    @pytest.fixture(autouse=True)
    def every_file(self, home: QmailHome) -> None:
        home.control(
            smtpgreeting="smtp\n", localiphost="me\n", timeoutsmtpd="60\n", badmailfrom="@x\n", databytes="0\n"
        )
        home.more_rcpthosts(["more.example"])

    def refused(self, home: QmailHome, argv: list[str], said_before: int = 0) -> str:
        session = run_session(argv, home.environment(), MAIL)
        assert session.output.splitlines(keepends=True)[said_before:] == [NO_CONTROLS]
        assert session.status == 1
        assert len(session.log) == 1
        return session.log[0].partition(" Error::SNDR::Controls P:ESMTP S:203.0.113.7:unknown H:")[2]

    @pytest.mark.parametrize("name", FILES)
    def test_one_without_permission(self, home: QmailHome, name: str) -> None:
        file = home.path / "control" / name
        file.chmod(0)
        assert self.refused(home, held_back(smtpd())) == f" '{file}:?Permission?denied'"

    @pytest.mark.parametrize("name", [name for name in FILES if name != "morercpthosts.cdb"])
    def test_a_directory_in_its_place(self, home: QmailHome, name: str) -> None:
        file = home.path / "control" / name
        file.unlink()
        file.mkdir()
        assert self.refused(home, smtpd()) == f" '{file}:?Is?a?directory'"

    def test_a_directory_that_may_not_be_entered(self, home: QmailHome) -> None:
        (home.path / "control").chmod(0)
        line = self.refused(home, held_back(smtpd()))
        (home.path / "control").chmod(0o755)
        assert line == f" '{home.path}/control/me:?Permission?denied'"

    def test_a_home_that_is_not_there(self, home: QmailHome, tmp_path: Path) -> None:
        environment = home.environment(QMAILHOME=str(tmp_path / "none"))
        session = run_session(smtpd(), environment, MAIL)
        assert (session.output, session.status) == (NO_CONTROLS, 1)
        assert session.log[0].endswith(f"H: '{tmp_path}/none:?No?such?file?or?directory'")

    @pytest.mark.parametrize("what", ["a directory", "empty", "cut short", "text"])
    def test_a_cdb_shows_when_it_is_asked(self, home: QmailHome, what: str) -> None:
        file = home.path / "control" / "morercpthosts.cdb"
        whole = file.read_bytes()
        file.unlink()
        if what == "a directory":
            file.mkdir()
        else:
            file.write_bytes({"empty": b"", "cut short": whole[:1000], "text": b"more.example\n" * 1000}[what])
        assert self.refused(home, smtpd(), 2).startswith(f" '{file}:?not?a?readable?cdb?(")

    def test_a_cdb_that_nobody_asks_harms_nobody(self, home: QmailHome) -> None:
        (home.path / "control" / "morercpthosts.cdb").write_bytes(b"")
        said = run_session(smtpd(), home.environment(), MAIL.replace(b"elsewhere.org", b"joedomain.net")).output
        assert said.splitlines()[2] == b"250 ok"

    def test_a_cdb_is_asked_by_a_session(self, home: QmailHome) -> None:
        said = run_session(smtpd(), home.environment(), MAIL.replace(b"elsewhere.org", b"MORE.example")).output
        assert said.splitlines()[2] == b"250 ok"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"A": "b"},
        {"LC_CTYPE": "C.UTF-8", "A": "b"},
        {"A": "b", "LC_ALL": "C"},
    ],
)
def test_the_environment_is_the_one_that_was_received(given: dict[str, str]) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from qmailfork.system import config; print(config.received())"
    )
    done = subprocess.run([*PYTHON, "-c", code], env=given, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == str({name.encode(): value.encode() for name, value in given.items()})


def test_home() -> None:
    assert config.home({}) == config.home({b"QMAILHOME": b""}) == b"/var/qmail"
    assert config.home({b"QMAILHOME": os.fsencode("/q")}) == b"/q"
