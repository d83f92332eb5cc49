"""xf-spf against a real name server on loopback: what it does with each result, in each of its forms."""

import re
import subprocess
import sys
import time

import pytest
from checkerforms import BARE, CHECKERS, forked, preloaded, resident
from nameserver import serving

ZONE = {
    "pass.test": [("TXT", b"v=spf1 ip4:192.0.2.1 ip6:2001:db8::/32 -all")],
    "fail.test": [("TXT", b"v=spf1 -all")],
    "explains.test": [("TXT", b"v=spf1 -all exp=why.explains.test")],
    "why.explains.test": [("TXT", b"%{i} is not ours; %{s} knows")],
    "evil.test": [("TXT", b"v=spf1 -all exp=why.evil.test")],
    "why.evil.test": [("TXT", b"no\r\n250 ok\x1b[2J")],
    "long.test": [("TXT", b"v=spf1 -all exp=why.long.test")],
    "why.long.test": [("TXT", [b"y" * 255] * 4)],
    "softfail.test": [("TXT", b"v=spf1 ~all")],
    "neutral.test": [("TXT", b"v=spf1 ?all")],
    "none.test": [("A", "192.0.2.1"), ("MX", (10, "mx.none.test"))],
    "mx.none.test": [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")],
    "broken.test": [("TXT", b"v=spf1 nonsense -all")],
    "servfail.test": [("SERVFAIL", None)],
    "mute.test": [("SILENT", None)],
    "void.test": [("TXT", b"v=spf1 a:v1.test a:v2.test a:v3.test ip4:192.0.2.1 -all")],
    "cname.test": [("CNAME", "pass.test")],
    "xn--bcher-kva.test": [("TXT", b"v=spf1 ip4:192.0.2.1 -all")],
    "odd.test": [("TXT", b"v=spf1 exists:%{l}.l.odd.test -all")],
    "*.l.odd.test": [("A", "127.0.0.2")],
    "size.test": [
        ("TXT", [b"v=spf1 " + b"ip4:198.51.100.1 " * 14, *[b"ip4:198.51.100.1 " * 15] * 5, b"ip4:192.0.2.1 -all"])
    ],
    "big.test": [("TXT", b"v=spf1 " + b"a:big.test " * 11 + b"-all")],
    "forwarders.test": [("TXT", b"v=spf1 ip4:192.0.2.9 -all")],
    "helo.test": [("TXT", b"v=spf1 a -all"), ("A", "192.0.2.1"), ("AAAA", "2001:db8::1")],
}
RESULTS = {
    "pass": 9,
    "cname": 9,
    "size": 9,
    "fail": 3,
    "explains": 3,
    "softfail": 4,
    "neutral": 5,
    "none": 6,
    "missing": 6,
    "broken": 6,
    "void": 6,
}


@pytest.fixture(scope="module")
def nameserver():
    with serving(ZONE) as server:
        yield server


@pytest.fixture
def client(nameserver):
    """Return the environment of a client at 192.0.2.1 with a sender in DOMAIN.test, and more variables."""

    def environment(domain, **more):
        known = {
            "XF_NAMESERVER": nameserver.address,
            "TCPREMOTEIP": "192.0.2.1",
            "REMOTEMF": f"sender@{domain}.test",
            "REMOTERCPT": "rcpt@here.example",
            "REMOTEHELO": "mx.sender.example",
            "SPFHOST": "here.example",
            "SPFBEHAVIOR": "6",
        }
        return {**known, **more}

    return environment


@pytest.fixture(scope="module")
def warm():
    with preloaded("xf-spf") as checker:
        yield checker


@pytest.fixture
def run(warm):
    """Return a function that runs xf-spf, imported once and forked, which is the fastest of its forms."""

    def of(environment):
        done = warm.run(environment)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        return done

    return of


@pytest.fixture(scope="module")
def residents(nameserver):
    """Return a function that gives the resident with a SPFBEHAVIOR: the table below is too long for forks."""
    running = {}

    def of(behavior):
        if behavior not in running:
            manager = resident("xf-spf", {"XF_NAMESERVER": nameserver.address, "SPFBEHAVIOR": str(behavior)})
            running[behavior] = (manager, manager.__enter__())
        return running[behavior][1]

    yield of
    for manager, _ in running.values():
        manager.__exit__(None, None, None)


@pytest.mark.parametrize(("domain", "refused_from"), RESULTS.items())
@pytest.mark.parametrize("behavior", range(1, 7))
def test_behavior_says_what_is_refused(residents, domain, refused_from, behavior):
    action = residents(behavior).ask(client_address="192.0.2.1", sender=f"sender@{domain}.test", helo_name="x.example")
    assert action[:4] == ("554 " if behavior >= refused_from else "DUNN")


@pytest.mark.parametrize(
    ("behavior", "start"), [(1, "DUNNO"), (2, "450"), (3, "450"), (4, "450"), (5, "450"), (6, "450")]
)
def test_behavior_2_defers_while_the_dns_is_in_trouble(residents, behavior, start):
    action = residents(behavior).ask(client_address="192.0.2.1", sender="x@servfail.test")
    assert action.startswith(start)


@pytest.mark.parametrize(
    ("domain", "address", "code"),
    [
        ("pass", "192.0.2.1", 0),
        ("pass", "192.0.2.2", 100),
        ("pass", "2001:db8::77", 0),
        ("pass", "2001:DB9::77", 100),
        ("pass", "::ffff:192.0.2.1", 0),
        ("pass", "fe80::1%eth0", 100),
        ("servfail", "192.0.2.1", 101),
        ("fail", "192.0.2.1", 100),
    ],
)
def test_the_client_has_an_address_of_either_kind(run, client, domain, address, code):
    assert run(client(domain, TCPREMOTEIP=address, SPFBEHAVIOR="3")).returncode == code


@pytest.mark.parametrize(("domain", "code"), [("pass", 0), ("fail", 100), ("servfail", 101)])
def test_by_hand_it_is_the_same(client, domain, code):
    assert forked("xf-spf", client(domain, SPFBEHAVIOR="3")).returncode == code


@pytest.mark.parametrize(("helo", "code"), [("helo.test", 0), ("fail.test", 100), ("[192.0.2.1]", 0), ("", 0)])
def test_the_null_sender_is_postmaster_at_the_helo_name(run, client, helo, code):
    assert run(client("", REMOTEMF="", REMOTEHELO=helo, SPFBEHAVIOR="3")).returncode == code


@pytest.mark.parametrize(
    ("domain", "more", "reply"),
    [
        ("fail", {}, "SPF fail: fail.test does not let 192.0.2.1 send for it"),
        ("explains", {}, "SPF fail: explains.test explains: 192.0.2.1 is not ours; sender@explains.test knows"),
        ("fail", {"SPFEXP": "See https://here.example/?%{S}"}, "See https://here.example/?sender%40fail.test"),
        (
            "explains",
            {"SPFEXP": "x"},
            "SPF fail: explains.test explains: 192.0.2.1 is not ours; sender@explains.test knows",
        ),
        ("evil", {}, "SPF fail: evil.test explains: no??250 ok?[2J"),
        ("long", {}, "SPF fail: long.test explains: " + "y" * 367 + "..."),
        ("softfail", {}, "SPF softfail: softfail.test discourages 192.0.2.1 from sending for it"),
        ("neutral", {}, "SPF neutral: neutral.test does not say whether 192.0.2.1 may send for it"),
        ("none", {}, "SPF none: none.test does not say who may send for it"),
        ("broken", {}, "SPF permerror: the record of broken.test is broken: Unknown mechanism found"),
        ("servfail", {}, "SPF temperror: no answer about servfail.test for now, try again later"),
    ],
)
def test_the_reply_explains(run, client, domain, more, reply):
    assert run(client(domain, **more)).stdout == reply + "\n"


def test_a_macro_that_is_none_leaves_the_usual_reply_and_a_log_line(run, client):
    done = run(client("fail", SPFEXP="100% sure"))
    assert done.stdout == "SPF fail: fail.test does not let 192.0.2.1 send for it\n"
    assert re.search(r"^xf-spf: pid \d+ SPFEXP cannot be expanded: ", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (
            "pass",
            r"spf=pass by=ip4:192.0.2.1 ip=192.0.2.1 helo=mx.sender.example from=sender@pass.test problem=- exit=0",
        ),
        ("fail", r"spf=fail by=-all ip=192.0.2.1 helo=mx.sender.example from=sender@fail.test problem=- exit=100"),
        ("broken", r"spf=permerror by=- ip=\S+ helo=\S+ from=\S+ problem=Unknown\?mechanism\?found exit=100"),
    ],
)
def test_a_look_up_is_one_log_line(run, client, domain, words):
    assert re.fullmatch(rf"xf-spf: pid \d+ {words}\n", run(client(domain)).stderr)


def test_behavior_1_logs_and_says_nothing(run, client):
    done = run(client("fail", SPFBEHAVIOR="1"))
    assert (done.returncode, done.stdout) == (0, "")
    assert " spf=fail " in done.stderr


def test_behavior_0_does_nothing_and_asks_nobody(run, client, nameserver):
    before = len(nameserver.asked)
    done = run(client("fail", SPFBEHAVIOR="0"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(nameserver.asked) == before


def test_without_a_behavior_it_says_so_and_asks_nobody(run, client, nameserver):
    environment = client("fail")
    del environment["SPFBEHAVIOR"]
    before = len(nameserver.asked)
    done = run(environment)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r"xf-spf: pid \d+ SPFBEHAVIOR is not set, nothing is looked up\n", done.stderr)
    assert len(nameserver.asked) == before


@pytest.mark.parametrize("address", ["", "unknown", "192.0.2", "192.0.2.1\n554"])
def test_a_client_without_an_address_passes_with_a_log_line(run, client, address):
    done = run(client("fail", TCPREMOTEIP=address))
    assert done.returncode == 0
    assert re.fullmatch(r"xf-spf: pid \d+ TCPREMOTEIP=\S+ is no address, nothing is looked up\n", done.stderr)


@pytest.mark.parametrize(
    ("domain", "more", "code"),
    [
        ("fail", {"SPFRULES": "ip4:192.0.2.0/24"}, 0),
        ("softfail", {"SPFRULES": "ip4:198.51.100.1 ip4:192.0.2.0/24"}, 0),
        ("servfail", {"SPFRULES": "ip4:192.0.2.0/24"}, 0),
        ("fail", {"SPFRULES": "ip4:198.51.100.0/24"}, 100),
        ("fail", {"SPFRULES": "include:forwarders.test"}, 100),
        ("fail", {"SPFRULES": "include:forwarders.test", "TCPREMOTEIP": "192.0.2.9"}, 0),
        ("fail", {"SPFRULES": "nonsense"}, 100),
        ("fail", {"SPFTRUSTED": "198.51.100.0/24, 192.0.2.0/28"}, 0),
        ("fail", {"SPFTRUSTED": "2001:db8::/32", "TCPREMOTEIP": "2001:db8::5"}, 0),
        ("fail", {"SPFTRUSTED": "2001:db8::/32"}, 100),
        ("fail", {"SPFTRUSTED": "everybody 192.0.2.1/33"}, 100),
        ("none", {"SPFGUESS": "a/24 mx/24"}, 0),
        ("none", {"SPFGUESS": "mx", "TCPREMOTEIP": "2001:db8::1"}, 0),
        ("none", {"SPFGUESS": "a", "TCPREMOTEIP": "192.0.2.2"}, 100),
        ("fail", {"SPFGUESS": "ip4:192.0.2.1"}, 100),
        ("void", {"SPFVOID": "3"}, 0),
        ("void", {"SPFVOID": "x"}, 100),
    ],
)
def test_local_policy_trust_and_guesses(run, client, domain, more, code):
    assert run(client(domain, **more)).returncode == code


def test_headers_are_there_on_request(run, client):
    headers = run(client("pass", SPFHEADERS="authentication-results, Received-SPF")).stdout.splitlines()
    assert headers == [
        "Header: Received-SPF: Pass (here.example: domain of pass.test designates 192.0.2.1 as permitted sender)"
        ' client-ip=192.0.2.1; envelope-from="sender@pass.test"; helo=mx.sender.example; receiver=here.example;'
        ' mechanism="ip4:192.0.2.1"; identity=mailfrom',
        "Header: Authentication-Results: here.example; spf=pass smtp.mailfrom=pass.test",
    ]


def test_the_header_of_the_null_sender_tells_the_helo_name(run, client):
    done = run(client("", REMOTEMF="", REMOTEHELO="helo.test", SPFHEADERS="authentication-results"))
    assert done.stdout == "Header: Authentication-Results: here.example; spf=pass smtp.helo=helo.test\n"


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


def test_resident_it_answers_as_a_policy_server(client, tmp_path):
    settings = client("x", SPFBEHAVIOR="3", SPFHEADERS="received-spf")
    with resident("xf-spf", settings, f"unix:{tmp_path}/spf") as server:
        good = server.ask(client_address="2001:db8::1", sender="a@pass.test", helo_name="h.example")
        assert good.startswith("PREPEND Received-SPF: Pass (here.example: domain of pass.test designates 2001:db8::1")
        bad = server.ask(client_address="192.0.2.1", sender="a@explains.test", helo_name="h.example")
        assert bad == "554 5.7.1 SPF fail: explains.test explains: 192.0.2.1 is not ours; a@explains.test knows"
        late = server.ask(client_address="192.0.2.1", sender="a@servfail.test", helo_name="h.example")
        assert late.startswith("450 4.7.1 SPF temperror: ")
