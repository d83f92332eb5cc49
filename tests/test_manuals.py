"""The manual pages name what the code knows: every variable, every word of the log, every exit code of the queue."""

import re
from pathlib import Path

import pytest

from qmailfork.drivers import embedded_queue
from qmailfork.programs import envelope
from qmailfork.system import maildir

TOP = Path(__file__).resolve().parents[1]


def page(name):
    return (TOP / "man" / name).read_text()


def source(*parts):
    return "".join(path.read_text() for part in parts for path in sorted((TOP / "qmailfork").glob(part)))


def variables():
    readers = ("system/config.py", "programs/checkers.py", "drivers/embedded_queue.py")
    names = set(re.findall(r'b"([A-Z][A-Z_]{4,})"', source(*readers)))
    assert {"SMTPEXTFORK", "QMAILQUEUE", "RELAYCLIENT", "QMAILFORK_MAILDIR"} <= names
    return sorted(names)


@pytest.mark.parametrize("name", variables())
def test_every_variable_is_in_the_manual(name):
    manuals = page("qmailfork-control.5") + page("qmailfork-checker.7")
    assert re.search(rf"^\.(It|Ev).*\b{name}\b", manuals, re.MULTILINE)


def conditions():
    found = re.findall(r'b"((?:Accept|Reject|Error|Info)::[A-Z]+::\w*)"', source("programs/events.py"))
    assert "Reject::SNDR::Invalid_Relay" in found
    return sorted(set(found) - {"Error::RCPT::", "Reject::RCPT::"})


@pytest.mark.parametrize("condition", conditions())
def test_every_word_of_the_log_is_in_the_manual(condition):
    unsaid = {"Info::SNDR::Connected", "Info::SNDR::Said", "Accept::ORIG::Sender"}  # qmail-ldap has its own words
    assert condition in page("qmailfork-smtpd.8") or condition in unsaid


@pytest.mark.parametrize("module", [embedded_queue, envelope, maildir])
def test_every_exit_code_of_the_queue_is_in_the_manual(module):
    codes = {
        value for name, value in vars(module).items() if name.isupper() and type(value) is int and 11 <= value <= 91
    }
    assert codes
    for code in codes:
        assert f"\n.It {code}\n" in page("qmailfork-queue.8")


@pytest.mark.parametrize(
    "name",
    ["me", "smtpgreeting", "localiphost", "timeoutsmtpd", "rcpthosts", "morercpthosts.cdb", "badmailfrom", "databytes"],
)
def test_every_control_file_is_in_the_manual(name):
    assert f'b"{name}"' in source("system/config.py")
    assert f"\n.It Pa {name}\n" in page("qmailfork-control.5")


def lines():
    return [(path.name, line) for path in sorted((TOP / "man").glob("*.?")) for line in path.read_text().split("\n")]


def test_a_quotation_ends_with_its_line():
    """mandoc's Ql goes on to the end of the line, and quotes a second one within the first."""
    assert [found for found in lines() if re.search(r"^\..*\bQl .* Ql ", found[1])] == []


def test_no_title_calls_a_macro():
    """groff takes an An in a title for one, and loses the rest of the page."""
    assert [found for found in lines() if re.search(r"^\.%\w .*(?<![&\w])[A-Z][a-z]\b", found[1])] == []
