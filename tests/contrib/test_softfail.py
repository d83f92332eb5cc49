"""softfail as a program: a checker in its three forms, and SPF."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator

import pytest
from xfgreylist.check import check_at

from tests import nameserver
from tests.checkerforms import Preloaded, forked, preloaded, resident

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
    with preloaded("softfail") as warm:
        done = [warm.run(one) for one in (env, env, {**env, "UNBLOCK_AFTER_SEEN": "0"}, env)]
    assert [one.returncode for one in done] == [101, 101, 0, 0]
    assert [one.stderr.split()[4] for one in done] == ["unknown", "early", "ripe", "known"]
    assert done[0].stdout == forked("softfail", {**env, "REMOTEMF": "c@x.org"}).stdout


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
    assert forked("softfail", env, "deny", "domain", "x.org").returncode == 0
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
def test_a_nasty_address_is_one_word_of_one_line(env: dict[str, str], warm: Preloaded, sender: str) -> None:
    for variable in ("REMOTEMF", "REMOTERCPT"):
        asked = {**env, variable: sender}
        first, second = warm.run(asked), warm.run({**asked, "UNBLOCK_AFTER_SEEN": "0"})
        assert (first.returncode, second.returncode) == (101, 0)
        assert first.stderr.count("\n") == 1
        assert len(first.stderr.split()) == 10
        assert first.stderr.isascii()
    assert {line.split()[0] for line in forked("softfail", env, "list").stdout.splitlines()} == {"known", "counting"}


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


def test_a_triplet_that_would_die_before_it_is_ripe_lives_longer(env: dict[str, str]) -> None:
    done = forked("softfail", {**env, "SOFTFAIL_RETRY": "300"})
    warning = r"softfail: pid \d+ SOFTFAIL_RETRY=300 is not more than UNBLOCK_AFTER_SEEN=300, taking 173100\n"
    assert re.match(warning, done.stderr), done.stderr
    assert done.returncode == 101
    told = json.loads(forked("softfail", env, "list", "--json").stdout)
    assert told["expires"] - told["first"] == 173100


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
