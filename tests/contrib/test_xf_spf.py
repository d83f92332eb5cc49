"""xf-spf against a real name server on loopback: what it does with each result, in each of its forms."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import dnszones
from tests.checkerforms import ask, forked, resident

PROGRAM = "xf-spf"
ZONE = dnszones.SPF
CLIENT = {
    "TCPREMOTEIP": "192.0.2.1",
    "REMOTERCPT": "rcpt@here.example",
    "REMOTEHELO": "mx.sender.example",
    "SPFHOST": "here.example",
    "SPFBEHAVIOR": "6",
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


@pytest.fixture
def client(client):
    """Return a function that gives the environment of a client with a sender in DOMAIN.test, and more variables."""
    return lambda domain, **more: client(**{"REMOTEMF": f"sender@{domain}.test", **more})


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


def test_resident_it_answers_as_a_policy_server(client, tmp_path):
    settings = client("x", SPFBEHAVIOR="3", SPFHEADERS="received-spf")
    with resident("xf-spf", settings, f"unix:{tmp_path}/spf") as server:
        good = server.ask(client_address="2001:db8::1", sender="a@pass.test", helo_name="h.example")
        assert good.startswith("PREPEND Received-SPF: Pass (here.example: domain of pass.test designates 2001:db8::1")
        bad = server.ask(client_address="192.0.2.1", sender="a@explains.test", helo_name="h.example")
        assert bad == "554 5.7.1 SPF fail: explains.test explains: 192.0.2.1 is not ours; a@explains.test knows"
        late = server.ask(client_address="192.0.2.1", sender="a@servfail.test", helo_name="h.example")
        assert late.startswith("450 4.7.1 SPF temperror: ")


def test_a_resident_keeps_its_clients_apart(residents):
    server = residents(3)
    wanted = {
        "pass": "DUNNO",
        "fail": "554 5.7.1 SPF fail: fail.test does not let 192.0.2.1 send for it",
        "none": "DUNNO",
    }

    def talk(domain):
        with server.connect() as connection:
            request = {"client_address": "192.0.2.1", "sender": f"x@{domain}.test", "helo_name": "h.example"}
            return {ask(connection, **request) for _ in range(10)}

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(talk, list(wanted) * 4)) == [{action} for action in wanted.values()] * 4
