"""spamcontrol's control files (system/lists.py) and variables (system/switches.py), as config reads them."""

import os
import subprocess

import pytest

from qmailfork.conversation.settings import ControlFault
from qmailfork.conversation.switches import Switches
from qmailfork.smtp import replies
from qmailfork.system import config, switches
from qmailfork.system.lists import Databases
from tests.support import QmailHome


def read(home: QmailHome, **variables: str) -> tuple[Switches | None, list[bytes]]:
    """The switches and the complaints under these variables."""
    environment = {name.encode(): value.encode() for name, value in variables.items()}
    settings = config.settings(config.Controls(os.fsencode(home.path)), environment)
    return settings.switches, settings.checkers.complaints


def compile_cdb(home: QmailHome, name: str, *keys: str) -> None:
    """A cdb in the place of another one, as qmail-recipients does it."""
    records = "".join(f"+{len(key)},0:{key}->\n" for key in keys) + "\n"
    file = home.path / name
    subprocess.run(["cdb", "-c", "-t", f"{file}.tmp", str(file)], input=records.encode(), check=True)


def test_without_any_there_are_none(home: QmailHome) -> None:
    home.control(badmailfrom="# * in a comment\nplain@bad.example\n@b-a=d.example\n")
    assert read(home, SMTPEXTFORK="x") == (None, [])


@pytest.mark.parametrize("name", sorted(config.SWITCHES))
def test_each_variable_sets_them(home: QmailHome, name: bytes) -> None:
    assert read(home, **{name.decode(): "1"})[0] is not None


@pytest.mark.parametrize("name", ["badhelo", "badrcptto", "recipients"])
def test_each_file_sets_them(home: QmailHome, name: str) -> None:
    home.control(**{name: ""})
    assert read(home)[0] is not None


@pytest.mark.parametrize("line", ["*@x", "a?@x", "[a]@x", "a\\@x", "!a@x", "~x", "?a@x", "@x+", "@x-", "@x=", "a@x=  "])
def test_a_pattern_or_a_mark_in_badmailfrom_sets_them(home: QmailHome, line: str) -> None:
    home.control(badmailfrom=f"plain@z\n{line}\n@y")
    found, _ = read(home)
    assert found is not None
    assert found.bad_senders is not None
    assert found.bad_senders.judge(b"plain@z", b"unknown", False) == b"@"


@pytest.mark.parametrize("name", ["badhelo", "badrcptto", "recipients"])
def test_a_file_that_cannot_be_read(home: QmailHome, name: str) -> None:
    (home.path / "control" / name).mkdir()
    with pytest.raises(ControlFault, match=f"control/{name}"):
        read(home)


@pytest.mark.parametrize(
    ("name", "value", "attribute", "meaning"),
    [
        ("MAXRECIPIENTS", "100", "most_recipients", 100),
        ("MAXRECIPIENTS", "", "most_recipients", 0),
        ("MAXRECIPIENTS", " 7 ", "most_recipients", 7),
        ("MAXRECIPIENTS", "-7", "most_recipients", None),
        ("MAXRECIPIENTS", "7x", "most_recipients", None),
        ("MAXRECIPIENTS", "9" * 5000, "most_recipients", None),
        ("TARPITCOUNT", "3", "tarpit_count", 3),
        ("TARPITDELAY", "999", "tarpit_delay", 999),
        ("TARPITDELAY", "1000", "tarpit_delay", None),
        ("GREETDELAY", "300", "greet_delay", 300),
        ("GREETDELAY", "301", "greet_delay", None),
        ("GREETDELAY", "1.5", "greet_delay", None),
        ("HELOCHECK", ".", "check_name", b"."),
        ("BADHELO", "A", "check_name", b"A"),
        ("BADHELO", "", "check_name", b""),
        ("MFDNSCHECK", "", "sender_in_dns", True),
        ("RECIPIENTS450", "", "later", True),
        ("LOCALMFCHECK", "=", "own_senders", b"="),
    ],
)
def test_what_a_variable_means(home: QmailHome, name: str, value: str, attribute: str, meaning: object) -> None:
    found, complaints = read(home, **{name: value})
    if meaning is None:
        assert getattr(found, attribute) == 0
        assert complaints == [f"{name}={value}".encode()]
    else:
        assert getattr(found, attribute) == meaning
        assert complaints == []


def test_a_helo_check_that_makes_no_sense_looks_into_badhelo(home: QmailHome) -> None:
    found, complaints = read(home, BADHELO="control/badhelo")
    assert found is not None
    assert (found.check_name, complaints) == (b"", [b"BADHELO=control/badhelo"])


def test_helocheck_goes_before_its_other_name(home: QmailHome) -> None:
    found, _ = read(home, BADHELO="", HELOCHECK="!")
    assert found is not None
    assert found.check_name == b"!"


@pytest.mark.parametrize("name", switches.TEXTS)
def test_a_text_of_the_sites_own(home: QmailHome, name: bytes) -> None:
    reply = switches.TEXTS[name]
    found, _ = read(home, **{name.decode(): "so\nthere"})
    assert found is not None
    assert found.replies == {reply: reply.replace(b" (#", b" so?there (#")}
    assert replies.is_refusal(found.replies[reply][:3])
    assert found.replies[reply].count(b"\r\n") == 1


def test_a_cdb_is_opened_again_when_it_changes(home: QmailHome) -> None:
    databases = Databases(os.fsencode(home.path))
    compile_cdb(home, "joe.cdb", "joe")
    assert databases.get(b"joe.cdb", b"joe") == b""
    assert databases.get(b"joe.cdb", b"jim") is None
    compile_cdb(home, "joe.cdb", "jim", "jane")
    assert databases.get(b"joe.cdb", b"joe") is None
    assert databases.get(os.fsencode(home.path / "joe.cdb"), b"jim") == b""


@pytest.mark.parametrize("content", [None, b"", b"no cdb"])
def test_a_cdb_that_cannot_be_read(home: QmailHome, content: bytes | None) -> None:
    if content is not None:
        (home.path / "x.cdb").write_bytes(content)
    with pytest.raises(ControlFault, match=r"x\.cdb"):
        Databases(os.fsencode(home.path)).get(b"x.cdb", b"key")
