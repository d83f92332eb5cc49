"""softfail as a program: a checker in its three forms, SPF, and what people do with it."""

from __future__ import annotations

import json
import pathlib
import subprocess

import nameserver
import pytest
from checkerforms import forked, preloaded, resident
from xfgreylist import keys
from xfgreylist.check import check_at
from xfgreylist.senders import steady

NOW = 1_700_000_000
ENVELOPE = {"TCPREMOTEIP": "192.0.2.1", "REMOTEMF": "a@x.org", "REMOTERCPT": "b@y.org", "REMOTEHELO": "mx.x.org"}


@pytest.fixture
def env(tmp_path: pathlib.Path) -> dict[str, str]:
    """The envelope of a client, and a store that does not exist yet."""
    return {**ENVELOPE, "SOFTFAIL_STORE": f"sqlite:{tmp_path}/softfail.db", "SOFTFAIL_TIMEOUT": "60000"}


def command(env: dict[str, str], *words: str, code: int = 0) -> str:
    """Run a command that ends with code, and return what it printed; an error is one line."""
    done = forked("softfail", env, *words)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == (code > 1)
    return done.stderr if code > 1 else done.stdout


def test_forked(env: dict[str, str]) -> None:
    done = forked("softfail", env)
    assert (done.returncode, done.stdout) == (101, "greylisted, please try again in 300 seconds\n")
    line = " defer unknown ip=192.0.2.1 client=192.0.2.0/24 sender=a@x.org recipient=b@y.org wait=300\n"
    assert done.stderr.startswith("softfail: pid ")
    assert done.stderr.endswith(line)
    done = forked("softfail", {**env, "UNBLOCK_AFTER_SEEN": "0"})
    assert done.returncode == 0
    assert done.stdout.startswith("Header: X-Greylist: delayed ")
    assert " pass ripe " in done.stderr
    assert forked("softfail", env).stdout == ""


def test_imported_once_and_forked(env: dict[str, str]) -> None:
    codes, log = preloaded("softfail", env, env, {**env, "UNBLOCK_AFTER_SEEN": "0"}, env)
    assert codes == [101, 101, 0, 0]
    assert [line.split()[4] for line in log.splitlines()] == ["unknown", "early", "ripe", "known"]


def test_resident(env: dict[str, str]) -> None:
    beneath = {**env, "UNBLOCK_AFTER_SEEN": "0"}
    with resident("softfail", beneath) as softfail:
        first = softfail.ask(client_address="2001:db8::1", sender="", recipient="b@y.org")
        second = softfail.ask(client_address="2001:db8::2", sender="", recipient="b@y.org")
        third = softfail.ask(client_address="unknown", sender="", recipient="b@y.org")
    assert first == "450 4.7.1 greylisted, please try again in 0 seconds"
    assert second.startswith("PREPEND X-Greylist: delayed ")
    assert third == "DUNNO"
    assert "client=2001:db8::/64 sender=<> " in softfail.log
    assert " pass down: TCPREMOTEIP is no IP address: \n" in softfail.log


def test_refused(env: dict[str, str]) -> None:
    command(env, "deny", "domain", "x.org")
    done = forked("softfail", env)
    assert (done.returncode, done.stdout) == (100, "refused by local policy\n")
    assert done.stderr.endswith(" entry=domain:x.org\n")


def test_the_network_is_as_wide_as_told(env: dict[str, str]) -> None:
    for address, network in (
        ("192.0.2.1", "192.0.2.0/28"),
        ("2001:db8:0:1::1", "2001:db8::/48"),
        ("::ffff:192.0.2.1", "192.0.2.0/28"),
    ):
        done = forked("softfail", {**env, "TCPREMOTEIP": address, "SOFTFAIL_IPV4": "28", "SOFTFAIL_IPV6": "48"})
        assert f" client={network} " in done.stderr


@pytest.mark.parametrize("missing", ["TCPREMOTEIP", "REMOTERCPT"])
@pytest.mark.parametrize(("down", "code"), [("pass", 0), ("defer", 101)])
def test_without_a_question_it_is_down(env: dict[str, str], missing: str, down: str, code: int) -> None:
    done = forked("softfail", {**env, missing: "", "SOFTFAIL_DOWN": down})
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert missing in done.stderr


NASTY = [
    "a@x.org\nsoftfail: pid 1 pass known",
    '"a b"@x.org',
    "ä@x.org",
    "\udcff\udcfe@x.org",
    "@",
    "a" * 900 + "@x.org",
    "%00%0a@x.org",
    "' OR 1=1 --@x.org",
    "prvs=@x.org",
    "srs0=@x.org",
    "srs1=a=b=@x.org",
    "no-at-sign",
]


@pytest.mark.parametrize("sender", NASTY)
def test_a_nasty_address_is_one_word_of_one_line(env: dict[str, str], sender: str) -> None:
    for variable in ("REMOTEMF", "REMOTERCPT"):
        asked = {**env, variable: sender}
        first, second = forked("softfail", asked), forked("softfail", {**asked, "UNBLOCK_AFTER_SEEN": "0"})
        assert (first.returncode, second.returncode) == (101, 0)
        assert first.stderr.count("\n") == 1
        assert len(first.stderr.split()) == 10
        assert first.stderr.isascii()
    assert {line.split()[0] for line in command(env, "list").splitlines()} == {"known", "counting"}


def test_a_number_that_is_none_is_named_and_passed_over(env: dict[str, str]) -> None:
    done = forked("softfail", {**env, "UNBLOCK_AFTER_SEEN": "soon"})
    assert done.returncode == 101
    assert "UNBLOCK_AFTER_SEEN=soon is not a number" in done.stderr


ZONE = {
    "pool.org": [("TXT", "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all")],
    "mx.pool.org": [("TXT", "v=spf1 ip4:192.0.2.0/24 -all")],
    "broken.org": [("SERVFAIL", "")],
    "silent.org": [("SILENT", "")],
}


def decided(env: dict[str, str], seconds: int, address: str, sender: str, capfd: pytest.CaptureFixture[str]) -> str:
    """Check once, and return reason and client from the log."""
    check_at({**env, "TCPREMOTEIP": address, "REMOTEMF": sender, "REMOTEHELO": "mx.pool.org"}, NOW + seconds)
    words = capfd.readouterr().err.split()
    return f"{words[4]} {words[6]}"


def test_a_pool_that_its_domain_vouches_for_is_one_client(
    env: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    with nameserver.serving(ZONE) as dns:
        env |= {"SOFTFAIL_SPF": "1", "XF_NAMESERVER": dns.address, "SOFTFAIL_SPF_TIMEOUT": "20"}
        assert decided(env, 0, "192.0.2.1", "a@pool.org", capfd) == "unknown client=spf:pool.org"
        assert decided(env, 300, "198.51.100.1", "a@pool.org", capfd) == "ripe client=spf:pool.org"
        assert decided(env, 301, "203.0.113.1", "a@pool.org", capfd) == "unknown client=203.0.113.0/24"
        assert decided(env, 302, "192.0.2.1", "", capfd) == "unknown client=spf:mx.pool.org"
        assert decided(env, 303, "192.0.2.1", "a@broken.org", capfd) == "unknown client=192.0.2.0/24"
        impatient = {**env, "SOFTFAIL_SPF_TIMEOUT": "1"}
        assert decided(impatient, 304, "192.0.2.1", "a@silent.org", capfd) == "unknown client=192.0.2.0/24"
        assert decided(env, 305, "192.0.2.1", "a@none.org", capfd) == "unknown client=192.0.2.0/24"
        asked = len(dns.asked)
        assert decided(env, 605, "192.0.2.1", "a@none.org", capfd) == "ripe client=192.0.2.0/24"
        assert decided(env, 606, "192.0.2.1", "a@none.org", capfd) == "known client=192.0.2.0/24"
        assert len(dns.asked) == asked  # SPF is for the unknown


def test_without_spf_no_question_is_asked(env: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    with nameserver.serving(ZONE) as dns:
        env |= {"XF_NAMESERVER": dns.address}
        assert decided(env, 0, "192.0.2.1", "a@pool.org", capfd) == "unknown client=192.0.2.0/24"
        assert dns.asked == []


def filled(env: dict[str, str]) -> None:
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
            forked("softfail", {**env, **limits, **changes})


def test_report(env: dict[str, str]) -> None:
    filled(env)
    said = json.loads(command({**env, "SOFTFAIL_WHITE_CLIENT": "1"}, "report", "--json"))
    counts = {"waiting": 1, "known": 1, "counting": 0, "white": 1, "blocked": 1, "allow": 1, "deny": 1}
    assert {name: said[name] for name in counts} == counts
    assert said["known_passes"] == 2
    assert said["busiest"] == [{"client": "192.0.2.0/24", "tries": 1}, {"client": "2001:db8::/64", "tries": 1}]
    text = command(env, "report", "--top", "1")
    assert "        1 triplets waiting (1 tries)\n" in text
    assert text.endswith("        1 tries deferred or refused of 192.0.2.0/24\n")


def test_list(env: dict[str, str]) -> None:
    filled(env)
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


def test_forget(env: dict[str, str], tmp_path: pathlib.Path) -> None:
    filled(env)
    kept = command(env, "list", "--json")
    (tmp_path / "kept").write_text(kept)
    for number, (kind, value, said, code) in enumerate(FORGOTTEN):
        mine = {**env, "SOFTFAIL_STORE": f"sqlite:{tmp_path}/{number}.db"}
        command(mine, "import", f"{tmp_path}/kept")
        if value == "192.0.2.7":
            value = "198.18.0.1"
        assert command(mine, "forget", kind, value, code=code) == said


def test_what_is_listed_as_json_can_be_imported(env: dict[str, str], tmp_path: pathlib.Path) -> None:
    filled(env)
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


BAD_LINES = [
    "nonsense",
    "allow client 192.0.2.300",
    "allow planet earth",
    "{",
    "{}",
    '{"kind": "list", "what": "domain", "value": "x y", "state": "deny", "since": 1}',
    '{"kind": "block", "client": "192.0.2.0/24", "blocked": "192.0.2.1", "first": "1"}',
    '{"kind": "client", "client": 5}',
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


STEADY = {
    "joe": "joe",
    "mary-jane": "mary-jane",
    "john.smith1984": "john.smith1984",
    "12345": "12345",
    "facade": "facade",
    "prvs=0123abcdef=joe": "joe",
    "msprvs1=17437knm3=bounces-1-2": "bounces-#-#",
    "btv1==aabb==joe": "joe",
    "srs0=hhh=tt=x.org=joe": "srs0=x.org=joe",
    "srs0+hhh=tt=x.org=joe": "srs0=x.org=joe",
    "srs1=hhh=y.org==hhh=tt=x.org=joe": "srs1=y.org=x.org=joe",
    "prvs=1=list-return-12-bob=x.org": "list-return-#",
    "list-return-123-user=x.org": "list-return-#",
    "list-bounces+user=x.org": "list-bounces",
    "owner-list": "owner-list",
    "bounce-1234-5678": "bounce-#-#",
    "0100018ab3cd12ef-1b2c3d4e-1111-2222-3333-0123456789ab-000000": "#-#-#",
    "=": "=",
    "prvs=": "prvs=",
    "srs0=x": "srs0=x",
    "srs1=x=y=z": "srs1=x=y=z",
    "": "",
}


@pytest.mark.parametrize("local", STEADY)
def test_the_changing_part_goes(local: str) -> None:
    assert steady(local) == STEADY[local]


def test_entries_come_from_the_narrow_to_the_wide() -> None:
    found = keys.candidates("192.0.2.1", "a@b.x.org", "c@y.org")
    assert found[:4] == ["recipient:c@y.org", "recipient:@y.org", "recipient:@org", "sender:a@b.x.org"]
    assert found[4:6] == ["client:192.0.2.1/32", "client:192.0.2.0/31"]
    assert found[-4:] == ["client:192.0.0.0/8", "domain:b.x.org", "domain:x.org", "domain:org"]
