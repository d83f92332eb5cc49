"""xf-spf where clients, records, servers and settings are not as they should be."""

import re
import subprocess
import sys
import time

import pytest

from tests import dnszones
from tests.checkerforms import BARE, CHECKERS

PROGRAM = "xf-spf"
ZONE = dnszones.SPF
CLIENT = {
    "TCPREMOTEIP": "192.0.2.1",
    "REMOTERCPT": "rcpt@here.example",
    "REMOTEHELO": "mx.sender.example",
    "SPFHOST": "here.example",
    "SPFBEHAVIOR": "6",
}


@pytest.fixture
def client(client):
    """Return a function that gives the environment of a client with a sender in DOMAIN.test, and more variables."""
    return lambda domain, **more: client(**{"REMOTEMF": f"sender@{domain}.test", **more})


def test_a_macro_that_is_none_leaves_the_usual_reply_and_a_log_line(run, client):
    done = run(client("fail", SPFEXP="100% sure"))
    assert done.stdout == "SPF fail: fail.test does not let 192.0.2.1 send for it\n"
    assert re.search(r"^xf-spf: pid \d+ SPFEXP cannot be expanded: ", done.stderr, re.MULTILINE)


@pytest.mark.parametrize("address", ["", "unknown", "192.0.2", "192.0.2.1\n554"])
def test_a_client_without_an_address_passes_with_a_log_line(run, client, address):
    done = run(client("fail", TCPREMOTEIP=address))
    assert done.returncode == 0
    assert re.fullmatch(r"xf-spf: pid \d+ TCPREMOTEIP=\S+ is no address, nothing is looked up\n", done.stderr)


@pytest.mark.parametrize(
    "sender", ["a@b) x=(y.test", 'a"; client-ip=8.8.8.8; x="@none.test', "a\\@none.test", "(@none.test"]
)
def test_a_sender_cannot_forge_a_header(run, client, sender):
    done = run(client("", REMOTEMF=sender, SPFHEADERS="received-spf authentication-results", SPFBEHAVIOR="1"))
    received, results = done.stdout.splitlines()
    comment, _, rest = received.partition(") ")
    assert comment.count("(") == 1
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", rest)
    assert re.fullmatch(
        r"client-ip=192.0.2.1; envelope-from=; helo=mx.sender.example; receiver=here.example; identity=mailfrom",
        outside,
    )
    assert re.fullmatch(
        r'Header: Authentication-Results: here.example; spf=none smtp.mailfrom=("(?:[^"\\]|\\.)*"|none.test)', results
    )


@pytest.mark.parametrize(
    "sender",
    [
        "nodomain",
        "@",
        "a@",
        "@fail.test",
        "a@b@fail.test",
        "x" * 300 + "@odd.test",
        "a.b..c@odd.test",
        "ü@odd.test",
        "a\\b c%d@odd.test",
        "%{d}@odd.test",
        "sender@" + "a." * 130 + "test",
        "sender@" + "ü" * 70 + ".test",
        "a\tb@fail.test",
        "\udcff@\udcff.test",
        "\udcff@odd.test",
    ],
)
def test_strange_senders_are_verdicts_and_one_line(run, client, sender):
    environment = client("", REMOTEMF=sender, SPFBEHAVIOR="2", SPFHEADERS="received-spf", SPFEXP="%{S}")
    done = run(environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1
    assert "error" not in done.stderr
    printed = (done.stdout + done.stderr).replace("\n", "")
    assert printed.isascii()
    assert printed.isprintable()


@pytest.mark.parametrize(
    ("sender", "mechanism", "code"),
    [
        ("x@y@fail.test", "-all", 100),
        ("@@fail.test", "-all", 100),
        ("a@fail.test.", "-all", 100),
        ("fail.test", "-all", 100),
        ("a@pass.test@fail.test", "-all", 100),
        ("a@fail.test@pass.test", "ip4:192.0.2.1", 0),
    ],
)
def test_the_domain_is_what_follows_the_last_at(run, client, sender, mechanism, code):
    done = run(client("", REMOTEMF=sender, SPFBEHAVIOR="3"))
    assert (done.returncode, f" by={mechanism} " in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize("behavior", ["3", "6"])
@pytest.mark.parametrize("rules", ["include:servfail.test", "a:mute.test", "include:mute.test ip4:192.0.2.1"])
def test_nobody_is_refused_while_the_dns_does_not_tell_whether_local_policy_lets_him_pass(run, client, rules, behavior):
    done = run(client("fail", SPFRULES=rules, SPFBEHAVIOR=behavior, SPFTIMEOUT="1"))
    assert done.returncode == 101
    assert done.stdout == "SPF temperror: no answer about fail.test for now, try again later\n"
    assert re.match(r"xf-spf: pid \d+ SPFRULES gives no answer: DNS ", done.stderr)
    assert done.stderr.endswith(" exit=101\n")


def test_a_guess_that_cannot_be_looked_up_refuses_nobody(run, client):
    assert run(client("none", SPFGUESS="include:servfail.test")).returncode == 101
    assert run(client("none", SPFGUESS="include:servfail.test", SPFBEHAVIOR="5")).returncode == 0


def test_an_international_domain_is_asked_for_in_ascii(run, client):
    assert run(client("bücher")).returncode == 0
    assert run(client("bücher", TCPREMOTEIP="192.0.2.2")).returncode == 100


def test_the_whole_look_up_has_a_limit(run, client, nameserver):
    before, started = len(nameserver.asked), time.monotonic()
    done = run(client("mute", SPFTIMEOUT="1", SPFBEHAVIOR="2"))
    assert done.returncode == 101
    assert time.monotonic() - started < 10  # the limit unset is 20
    assert len(nameserver.asked) > before


def test_more_than_ten_look_ups_are_a_broken_record(run, client):
    assert " spf=permerror " in run(client("big")).stderr


def test_without_pyspf_it_says_what_is_missing(client):
    environment = {**BARE, **client("pass")}
    command = [sys.executable, "-S", str(CHECKERS / "xf-spf")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 101
    expected = (
        r"xf-spf: pid \d+ No module named '\w+': pip install 'qmailfork\[checkers\]' brings pyspf and dnspython\n"
    )
    assert re.fullmatch(expected, done.stderr)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPFBEHAVIOR", "7"),
        ("SPFBEHAVIOR", "refuse"),
        ("SPFTIMEOUT", "0"),
        ("SPFVOID", "-1"),
        ("SPFTRUSTED", "x\ny"),
        ("SPFHEADERS", "dkim"),
        ("SPFRULES", "ip4:x"),
        ("XF_NAMESERVER", "dns.example"),
    ],
)
def test_a_setting_that_makes_no_sense_is_a_line_that_names_it(run, client, nameserver, variable, value):
    settings = {"XF_NAMESERVER": f"{value} {nameserver.address}"} if variable == "XF_NAMESERVER" else {variable: value}
    done = run(client("softfail", **{"SPFBEHAVIOR": "1", **settings}))
    assert done.returncode == 0
    assert any(variable in line for line in done.stderr.splitlines())
