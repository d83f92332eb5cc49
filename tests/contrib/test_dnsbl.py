"""dnsbl against a real name server on loopback: its verdicts, replies and forms."""

import re

import pytest

from tests import dnszones
from tests.checkerforms import forked, resident

PROGRAM = "dnsbl"
ZONE = dnszones.LISTS
CLIENT = {
    "TCPREMOTEIP": "192.0.2.66",
    "REMOTEMF": "sender@good.example",
    "REMOTERCPT": "rcpt@here.example",
    "REMOTEHELO": "mx.good.example",
}


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, 0),
        ({"DNSBL": ""}, 0),
        ({"DNSBL": "bl.test"}, 100),
        ({"DNSBL": "bl.test", "TCPREMOTEIP": "192.0.2.67"}, 0),
        ({"DNSBL": "bl.test", "TCPREMOTEIP": "2001:db8::2"}, 100),
        ({"DNSBL": "bl.test", "TCPREMOTEIP": "2001:DB8:0::0:2"}, 100),
        ({"DNSBL": "bl.test", "TCPREMOTEIP": "2001:db8::3"}, 0),
        ({"DNSBL": "bl.test", "TCPREMOTEIP": "::ffff:192.0.2.66"}, 100),
        ({"DNSBL": "bl.test", "TCPREMOTEIP": "unknown"}, 0),
        ({"DNSBL": "bl.test", "TCPREMOTEIP": ""}, 0),
        ({"DNSBL": "BL.Test."}, 100),
        ({"DNSBL": "nothing.test, bl.test"}, 100),
        ({"DNSBL": "cname.test"}, 100),
        # filters
        ({"DNSBL": "bl.test=127.0.0.10"}, 100),
        ({"DNSBL": "bl.test=127.0.0.11"}, 0),
        ({"DNSBL": "bl.test=127.0.0.[4..9]"}, 0),
        ({"DNSBL": "bl.test=127.0.0.[3..4;10]"}, 100),
        ({"DNSBL": "bl.test=127.[0..255].[0;1].[2..11]"}, 100),
        # weights
        ({"DNSBL": "bl.test", "DNSBL_THRESHOLD": "2"}, 0),
        ({"DNSBL": "bl.test*2", "DNSBL_THRESHOLD": "2"}, 100),
        ({"DNSBL": "bl.test=127.0.0.2*2", "DNSBL_THRESHOLD": "2"}, 100),
        ({"DNSBL": "bl.test other.test", "DNSBL_THRESHOLD": "2"}, 100),
        ({"DNSBL": "bl.test other.test*-1"}, 0),
        ({"DNSBL": "bl.test", "DNSWL": "white.test"}, 0),
        ({"DNSBL": "bl.test*3", "DNSWL": "white.test*2"}, 100),
        ({"DNSBL": "bl.test*3", "DNSWL": "white.test=127.0.[2..10].[1..3]*-3"}, 0),
        ({"DNSWL": "white.test"}, 0),
        # domains
        ({"RHSBL_SENDER": "rhs.test"}, 0),
        ({"RHSBL_SENDER": "rhs.test", "REMOTEMF": "x@bad.example"}, 100),
        ({"RHSBL_SENDER": "rhs.test", "REMOTEMF": "a@b@BAD.Example."}, 100),
        ({"RHSBL_SENDER": "rhs.test", "REMOTEMF": "x@bücher.example"}, 100),
        ({"RHSBL_SENDER": "rhs.test", "REMOTEMF": ""}, 0),
        ({"RHSBL_SENDER": "all.test", "REMOTEMF": ""}, 0),
        ({"RHSBL_HELO": "rhs.test", "REMOTEHELO": "bad.example"}, 100),
        ({"RHSBL_HELO": "all.test", "REMOTEHELO": "[192.0.2.66]"}, 0),
        ({"RHSBL_HELO": "all.test", "REMOTEHELO": "192.0.2.66"}, 0),
        ({"RHSBL_HELO": "all.test", "REMOTEHELO": "localhost"}, 0),
        ({"RHSBL_CLIENT": "rhs.test"}, 0),
        ({"RHSBL_CLIENT": "rhs.test", "TCPREMOTEHOST": "bad.example"}, 100),
        (
            {"RHSBL_CLIENT": "rhs.test", "DNSBL": "other.test", "TCPREMOTEHOST": "bad.example", "DNSBL_THRESHOLD": "2"},
            100,
        ),
    ],
)
def test_the_sum_of_the_listings_decides(run, client, variables, code):
    assert run(client(**variables)).returncode == code


@pytest.mark.parametrize(
    ("variables", "reply"),
    [
        ({"DNSBL": "bl.test"}, "192.0.2.66 is listed by bl.test: spam seen, see https://bl.test/?ip"),
        ({"DNSBL": "bl.test", "TCPREMOTEIP": "2001:db8::2"}, "2001:db8::2 is listed by bl.test: six"),
        ({"DNSBL": "other.test"}, "192.0.2.66 is listed by other.test"),
        ({"DNSBL": "bl.test other.test*2"}, "192.0.2.66 is listed by other.test"),
        ({"RHSBL_HELO": "rhs.test", "REMOTEHELO": "BAD.example"}, "bad.example is listed by rhs.test: bad domain"),
        ({"DNSBL": "nasty.test"}, "192.0.2.66 is listed by nasty.test: no??250 ok??[2J"),
    ],
)
def test_the_reply_gives_the_heaviest_list_and_its_reason(run, client, variables, reply):
    done = run(client(**variables))
    assert done.stdout == reply + "\n"


def test_a_reason_too_long_for_udp_comes_over_tcp(run, client):
    done = run(client(DNSBL="wordy.test"))
    assert re.fullmatch(r"192.0.2.66 is listed by wordy.test: \d w{240}\n", done.stdout)


@pytest.mark.parametrize(
    ("zone", "answered"),
    [("gone.test", "198.51.100.1"), ("quota.test", "127.255.255.254"), ("half.test", "203.0.113.9")],
)
@pytest.mark.parametrize("variable", ["DNSBL", "DNSWL", "RHSBL_SENDER"])
def test_an_answer_that_no_list_gives_is_no_listing_and_logged_loudly(run, client, variable, zone, answered):
    done = run(client(**{variable: zone, "DNSBL": f"{zone if variable == 'DNSBL' else ''} other.test"}))
    assert done.returncode == 100
    assert done.stdout == "192.0.2.66 is listed by other.test\n"
    assert re.search(rf"^dnsbl: pid \d+ ALERT: {zone} answers {answered}: .* not a listing$", done.stderr, re.MULTILINE)


def test_a_refusal_is_one_log_line(run, client):
    done = run(client(DNSBL="bl.test other.test"))
    expected = r"dnsbl: pid \d+ ip=192.0.2.66 sum=2 threshold=1 lists=bl.test,other.test exit=100\n"
    assert re.fullmatch(expected, done.stderr)


@pytest.mark.parametrize(
    ("variables", "code", "lines"),
    [
        ({"DNSBL": "bl.test six.test=127.0.0.4*2"}, 0, ["DNSBL bl.test: ok", "DNSBL six.test: ok"]),
        ({"DNSBL": "none.test"}, 1, ["DNSBL none.test: does not list 127.0.0.2, which every list does"]),
        ({"DNSBL": "badsix.test"}, 1, ["DNSBL badsix.test: lists ::FFFF:7F00:1, which no list does"]),
        ({"RHSBL_HELO": "rhs.test"}, 0, ["RHSBL_HELO rhs.test: ok"]),
        ({"RHSBL_SENDER": "none.test"}, 1, ["RHSBL_SENDER none.test: does not list TEST, which every list does"]),
        ({"RHSBL_CLIENT": "all.test"}, 1, ["RHSBL_CLIENT all.test: lists INVALID, which no list does"]),
        (
            {"DNSWL": "all.test"},
            1,
            ["DNSWL all.test: lists 127.0.0.1, which no list does; lists ::FFFF:7F00:1, which no list does"],
        ),
        (
            {"RHSBL_SENDER": "quota.test"},
            1,
            ["RHSBL_SENDER quota.test: TEST: answers 127.255.255.254; INVALID: answers 127.255.255.254"],
        ),
    ],
)
def test_the_lists_themselves_are_checked_at_the_points_of_rfc_5782(client, variables, code, lines):
    done = forked("dnsbl", client(**variables), "--check")
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (code, lines, "")


def test_a_list_that_does_not_answer_is_not_well(client):
    done = forked("dnsbl", client(RHSBL_HELO="x.test", XF_NAMESERVER="127.0.0.1:1"), "--check")
    assert done.returncode == 1
    assert re.fullmatch(r"RHSBL_HELO x.test: TEST: 127.0.0.1: .*; INVALID: 127.0.0.1: .*\n", done.stdout)


def test_no_list_at_all_is_said(client):
    done = forked("dnsbl", client(), "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"dnsbl: no list is configured: .*\n", done.stderr)


def test_resident_it_answers_as_a_policy_server(client):
    lists = client(DNSBL="bl.test", RHSBL_SENDER="rhs.test", RHSBL_CLIENT="rhs.test")
    with resident("dnsbl", lists) as server:
        assert server.ask(client_address="192.0.2.67") == "DUNNO"
        assert server.ask(client_address="2001:db8::2") == "554 5.7.1 2001:db8::2 is listed by bl.test: six"
        bad = "554 5.7.1 bad.example is listed by rhs.test: bad domain"
        assert server.ask(client_address="192.0.2.67", sender="x@bad.example") == bad
        assert server.ask(client_address="192.0.2.67", client_name="bad.example") == bad
        assert server.ask(client_address="192.0.2.67", reverse_client_name="bad.example") == "DUNNO"


@pytest.mark.parametrize(("address", "code"), [("192.0.2.66", 100), ("192.0.2.67", 0), ("2001:db8::2", 100)])
def test_by_hand_it_is_the_same(client, address, code):
    environment = client(DNSBL="bl.test", TCPREMOTEIP=address)
    del environment["REMOTEHELO"]
    done = forked("dnsbl", environment)
    assert done.returncode == code
    assert done.stdout.startswith(f"{address} is listed by bl.test: " if code else "")
