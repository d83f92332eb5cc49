"""softfail's commands: what people do with the store, and what they are told when they err."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from xfgreylist.check import check_at

from tests.checkerforms import BARE, CHECKERS, Preloaded, forked, preloaded
from tests.support import broken_off

NOW = 1_700_000_000
ENVELOPE = {"TCPREMOTEIP": "192.0.2.1", "REMOTEMF": "a@x.org", "REMOTERCPT": "b@y.org", "REMOTEHELO": "mx.x.org"}


@pytest.fixture
def env(tmp_path: pathlib.Path) -> dict[str, str]:
    """The envelope of a client, and a store that does not exist yet."""
    return {**ENVELOPE, "SOFTFAIL_STORE": f"sqlite:{tmp_path}/softfail.db", "SOFTFAIL_TIMEOUT": "60000"}


@pytest.fixture(scope="module")
def warm() -> Iterator[Preloaded]:
    """Softfail imported once and forked for each check, which is fast."""
    with preloaded("softfail") as checker:
        yield checker


def command(env: dict[str, str], *words: str, code: int = 0) -> str:
    """Run a command that ends with code, and return what it printed; an error is one line."""
    done = forked("softfail", env, *words)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == (code > 1)
    return done.stderr if code > 1 else done.stdout


def filled(env: dict[str, str], warm: Preloaded) -> None:
    """Put one record of each state, and two list entries, into the store."""
    command(env, "allow", "recipient", "postmaster@y.org")
    command(env, "deny", "client", "203.0.113.0/24")
    limits = {"SEENCONSECMAX": "1"}
    check = [
        ({"TCPREMOTEIP": "192.0.2.1"}, 1),
        ({"TCPREMOTEIP": "198.51.100.1", "REMOTEMF": ""}, 1),
        ({"TCPREMOTEIP": "198.51.100.1", "REMOTEMF": "", "UNBLOCK_AFTER_SEEN": "0"}, 2),
        ({"TCPREMOTEIP": "2001:db8::1"}, 3),
    ]
    for changes, times in check:
        for _ in range(times):
            warm.run({**env, **limits, **changes})


def test_report(env: dict[str, str], warm: Preloaded) -> None:
    filled(env, warm)
    said = json.loads(command({**env, "SOFTFAIL_WHITE_CLIENT": "1"}, "report", "--json"))
    counts = {"waiting": 1, "known": 1, "counting": 0, "white": 1, "blocked": 1, "allow": 1, "deny": 1}
    assert {name: said[name] for name in counts} == counts
    assert said["known_passes"] == 2
    assert said["busiest"] == [{"client": "192.0.2.0/24", "tries": 1}, {"client": "2001:db8::/64", "tries": 1}]
    text = command(env, "report", "--top", "1")
    assert "        1 triplets waiting (1 tries)\n" in text
    assert text.endswith("        1 tries deferred or refused of 192.0.2.0/24\n")


def test_list(env: dict[str, str], warm: Preloaded) -> None:
    filled(env, warm)
    assert command(env, "list", "allow").startswith("allow recipient postmaster@y.org # since 20")
    assert command(env, "list", "waiting").startswith("waiting 192.0.2.0/24 a@x.org b@y.org tries=1 passes=0 first=20")
    assert command(env, "list", "blocked").startswith("blocked 2001:db8::/64 2001:db8::/64 tries=1 ")
    states = [json.loads(line)["state"] for line in command(env, "list", "--json").splitlines()]
    assert sorted(states) == ["allow", "blocked", "counting", "deny", "known", "waiting"]
    assert command({**env, "SOFTFAIL_WHITE_CLIENT": "1"}, "list", "white").startswith("white 198.51.100.0/24 tries=1 ")


FORGOTTEN = [
    ("client", "192.0.2.7", "0 list entries, 0 records\n", 1),
    ("client", "192.0.2.0/24", "0 list entries, 1 records\n", 0),
    ("client", "2001:db8::/32", "0 list entries, 1 records\n", 0),
    ("client", "203.0.113.0/24", "1 list entries, 0 records\n", 0),
    ("sender", "<>", "0 list entries, 1 records\n", 0),
    ("domain", "x.org", "0 list entries, 1 records\n", 0),
    ("domain", "org", "0 list entries, 1 records\n", 0),
    ("recipient", "b@y.org", "0 list entries, 2 records\n", 0),
    ("recipient", "y.org", "0 list entries, 2 records\n", 0),
    ("recipient", "postmaster@y.org", "1 list entries, 0 records\n", 0),
]


def test_forget(env: dict[str, str], warm: Preloaded, tmp_path: pathlib.Path) -> None:
    filled(env, warm)
    kept = command(env, "list", "--json")
    (tmp_path / "kept").write_text(kept)
    for number, (kind, value, said, code) in enumerate(FORGOTTEN):
        mine = {**env, "SOFTFAIL_STORE": f"sqlite:{tmp_path}/{number}.db"}
        command(mine, "import", f"{tmp_path}/kept")
        if value == "192.0.2.7":
            value = "198.18.0.1"
        assert command(mine, "forget", kind, value, code=code) == said


def test_what_is_listed_as_json_can_be_imported(env: dict[str, str], warm: Preloaded, tmp_path: pathlib.Path) -> None:
    filled(env, warm)
    told = command(env, "list", "--json")
    other = ("--store", f"sqlite:{tmp_path}/other.db")
    (tmp_path / "told").write_text(told)
    assert command(env, "import", *other, f"{tmp_path}/told") == "2 list entries, 4 records\n"
    assert command(env, "list", "--json", *other) == told


def test_lists_are_imported_as_text(env: dict[str, str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "lists").write_text(
        "# ours\n\nallow client 192.0.2.7\ndeny domain .Spam.org # a comment\nallow sender <>\n"
    )
    assert command(env, "import", f"{tmp_path}/lists") == "3 list entries, 0 records\n"
    told = command(env, "list")
    assert [line.partition(" #")[0] for line in told.splitlines()] == [
        "allow client 192.0.2.7/32",
        "deny domain spam.org",
        "allow sender <>",
    ]
    (tmp_path / "told").write_text(told)
    assert command(env, "import", f"{tmp_path}/told") == "3 list entries, 0 records\n"


@pytest.mark.parametrize("written", ["É%@x.org", "\u00e9%@X.ORG.", "%C3%A9%25@x.org", "%c3%a9%25@x.org"])
@pytest.mark.parametrize("kind", ["sender", "recipient"])
def test_an_address_is_listed_as_people_write_it_or_as_the_log_has_it(
    env: dict[str, str], warm: Preloaded, kind: str, written: str
) -> None:
    command(env, "deny", kind, written)
    envelope = {"REMOTEMF" if kind == "sender" else "REMOTERCPT": "É%@x.org"}
    done = warm.run({**env, **envelope})
    assert (done.returncode, f" entry={kind}:%C3%A9%25@x.org\n" in done.stderr) == (100, True), done.stderr
    assert command(env, "forget", kind, written) == "1 list entries, 0 records\n"


def test_a_recipient_s_domain_is_listed_with_dots_around_it_too(env: dict[str, str], warm: Preloaded) -> None:
    command(env, "deny", "recipient", ".Y.org.")
    assert warm.run(env).returncode == 100


def test_standard_input_may_hold_any_octets(env: dict[str, str]) -> None:
    program = [sys.executable, str(CHECKERS / "softfail"), "import"]
    strict = {**BARE, **env, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(program, input=b"\xff\n", env=strict, capture_output=True, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert done.stderr.startswith(b"softfail: standard input:1: ")
    closed = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *program], env=strict, capture_output=True, check=False)
    assert (closed.returncode, closed.stderr) == (2, b"softfail: standard input is closed\n")


def test_a_state_that_is_none_is_told_which_there_are(env: dict[str, str]) -> None:
    said = command(env, "list", "awaiting", code=2)
    states = "allow deny waiting known counting white blocked"
    assert said.startswith(f"softfail list: argument STATE: 'awaiting' is none of {states}; ")


def test_an_import_that_is_broken_off(env: dict[str, str]) -> None:
    assert broken_off([sys.executable, str(CHECKERS / "softfail"), "import"], env={**BARE, **env}) == (130, b"")


BAD_LINES = [
    "nonsense",
    "allow client 192.0.2.300",
    "allow planet earth",
    "{",
    "{}",
    '{"kind": "list", "what": "domain", "value": "x y", "state": "deny", "since": 1}',
    '{"kind": "block", "client": "192.0.2.0/24", "blocked": "192.0.2.1", "first": "1"}',
    '{"kind": "client", "client": 5}',
    '{"kind": "client", "client": "nowhere", "first": 1, "last": 1, "tries": 1, "early": 0, "passes": 0, "expires": 1}',
    '{"kind": "block", "client": "192.0.2.0/24", "blocked": "spf:x.org"}',
    "[" * 100_000,
    "{" + '"a":{' * 100_000,
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_of_an_import_is_named(env: dict[str, str], tmp_path: pathlib.Path, line: str) -> None:
    (tmp_path / "lines").write_text(f"allow client 192.0.2.7\n{line}\n")
    said = command(env, "import", f"{tmp_path}/lines", code=2)
    assert said.startswith(f"softfail: {tmp_path}/lines:2: ")


def test_expire(env: dict[str, str]) -> None:
    check_at({**env}, NOW)
    assert command(env, "expire") == "1 records\n"
    assert command(env, "expire") == "0 records\n"


WRONG = [
    ("allow",),
    ("allow", "planet", "earth"),
    ("allow", "client", "nowhere"),
    ("allow", "client", "0.0.0.0/0"),
    ("deny", "sender", "x.org"),
    ("deny", "domain", "a@x.org"),
    ("deny", "domain", "."),
    ("forget", "client", "192.0.2.0/24", "x"),
    ("list", "nonsense"),
    ("report", "--top", "many"),
    ("report", "--top", "-1"),
    ("import", "/nowhere/at/all"),
    ("nonsense",),
    ("--policy", "nowhere"),
]


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_argument_costs_one_line(env: dict[str, str], words: tuple[str, ...]) -> None:
    assert command(env, *words, code=2).startswith("softfail")


def test_a_command_on_a_store_that_is_down(env: dict[str, str]) -> None:
    said = command({**env, "SOFTFAIL_STORE": "sqlite:/nowhere/softfail.db"}, "report", code=111)
    assert said == "softfail: /nowhere/softfail.db: unable to open database file\n"


@pytest.mark.parametrize("words", [("--help",), ("allow", "--help"), ("report", "-h")])
def test_help_is_the_manual(words: tuple[str, ...]) -> None:
    done = forked("softfail", {}, *words)
    assert done.returncode == 0
    assert done.stdout.startswith("softfail - greylisting for qmail-smtpd")
    for variable in ("SOFTFAIL_STORE", "UNBLOCK_AFTER_SEEN", "RFCSEENTIME", "SEENCONSECMAX"):
        assert f" {variable} " in done.stdout


def test_the_manual_page_is_clean_and_names_every_variable() -> None:
    page = pathlib.Path(__file__).parents[2] / "man" / "softfail.8"
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True, check=False)
    assert (lint.stdout, lint.returncode) == ("", 0)
    named = {line.split()[2] for line in page.read_text().splitlines() if line.startswith(".It Ev ")}
    manual = forked("softfail", {}, "--help").stdout
    described = {
        line.split()[0] for line in manual.splitlines() if line.startswith("    ") and line.split()[0].isupper()
    }
    assert described <= named
