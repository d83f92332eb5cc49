"""dnsbl against a real name server on loopback, in each of its forms."""

import re
import socket
import time

import pytest
from checkerforms import forked, preloaded, resident
from nameserver import serving

GHOST = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"  # 2001:db8::2
SIX = "0." * 20 + "f.f.f.f."  # ::ffff:0:0/96

ZONE = {
    # a list of addresses with its test points, that lists 192.0.2.66 (twice) and 2001:db8::2
    "2.0.0.127.bl.test": [("A", "127.0.0.2")],
    f"2.0.0.0.0.0.f.7.{SIX.replace('f.f.f.f.', '')}": [],
    "66.2.0.192.bl.test": [("A", "127.0.0.2"), ("A", "127.0.0.10"), ("TXT", b"spam seen, see https://bl.test/?ip")],
    f"{GHOST}.bl.test": [("A", "127.0.0.3"), ("TXT", b"six")],
    "66.2.0.192.other.test": [("A", "127.0.1.5")],
    "66.2.0.192.white.test": [("A", "127.0.5.2")],
    "66.2.0.192.mute.test": [("SILENT", None)],
    "66.2.0.192.broken.test": [("SERVFAIL", None)],
    "66.2.0.192.nasty.test": [("A", "127.0.0.2"), ("TXT", b"no\r\n250 ok\xff\x1b[2J")],
    "66.2.0.192.wordy.test": [("A", "127.0.0.2"), *(("TXT", b"%d " % n + b"w" * 240) for n in range(9))],
    "66.2.0.192.cname.test": [("CNAME", "66.2.0.192.elsewhere.test"), ("A", "127.0.0.2")],
    "*.gone.test": [("A", "198.51.100.1")],
    "*.quota.test": [("A", "127.255.255.254"), ("TXT", b"query refused")],
    "*.half.test": [("A", "127.0.0.2"), ("A", "203.0.113.9")],
    # lists of domains
    "test.rhs.test": [("A", "127.0.1.2")],
    "bad.example.rhs.test": [("A", "127.0.1.2"), ("TXT", b"bad domain")],
    "xn--bcher-kva.example.rhs.test": [("A", "127.0.1.2")],
    # faults that --check finds
    "*.all.test": [("A", "127.0.0.2")],
    "2.0.0.127.six.test": [("A", "127.0.0.2")],
    "2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20 + "six.test": [("A", "127.0.0.2")],
    "2.0.0.127.badsix.test": [("A", "127.0.0.2")],
    "1.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20 + "badsix.test": [("A", "127.0.0.2")],
}


@pytest.fixture(scope="module")
def nameserver():
    with serving(ZONE) as server:
        yield server


@pytest.fixture
def client(nameserver):
    """Return the environment of a client at 192.0.2.66, with more variables."""

    def environment(**more):
        known = {
            "XF_NAMESERVER": nameserver.address,
            "TCPREMOTEIP": "192.0.2.66",
            "REMOTEMF": "sender@good.example",
            "REMOTERCPT": "rcpt@here.example",
            "REMOTEHELO": "mx.good.example",
        }
        return {**known, **more}

    return environment


@pytest.fixture(scope="module")
def warm():
    with preloaded("dnsbl") as checker:
        yield checker


@pytest.fixture
def run(warm):
    """Return a function that runs dnsbl, imported once and forked, which is the fastest of its forms."""

    def of(environment):
        done = warm.run(environment)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        return done

    return of


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


@pytest.mark.parametrize("zone", ["mute.test", "broken.test", "quota.test"])
@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ("DNSBL={0}", 0),
        ("DNSBL={0} DNSBL_TROUBLE=defer", 101),
        ("DNSBL={0},other.test DNSBL_TROUBLE=defer", 100),
        ("DNSBL={0} DNSBL_TROUBLE=defer DNSBL_THRESHOLD=2", 0),
        ("DNSWL={0} DNSBL=other.test", 100),
        ("DNSWL={0} DNSBL=other.test DNSBL_TROUBLE=defer", 101),
        ("DNSBL={0} DNSBL_TROUBLE=nonsense", 0),
    ],
)
def test_a_list_without_an_answer_counts_nothing_or_defers(run, client, zone, variables, code):
    settings = dict(word.split("=", 1) for word in variables.format(zone).split(" "))
    done = run(client(DNSBL_TIMEOUT="1", **settings))
    assert done.returncode == code
    assert f" {zone}" in done.stderr


def test_all_lists_share_one_deadline(run, client):
    started = time.monotonic()
    done = run(client(DNSBL=" ".join(f"mute.test=127.0.0.{n}" for n in range(40)) + " bl.test", DNSBL_TIMEOUT="1"))
    assert done.returncode == 100
    assert time.monotonic() - started < 1 + 10  # 40 in turn would take 40


def test_a_silent_server_is_asked_again_and_the_next_one_too(run, client, nameserver):
    with serving({"*.test": [("SILENT", None)]}) as silent:
        done = run(client(DNSBL="bl.test", XF_NAMESERVER=f"{silent.address} {nameserver.address}"))
        assert done.returncode == 100
        assert len(silent.asked) >= 1


def test_a_server_that_is_not_there_does_not_hold_up(run, client, nameserver):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    assert run(client(DNSBL="bl.test", XF_NAMESERVER=f"{nobody},{nameserver.address}")).returncode == 100


def test_forged_packets_do_not_answer(client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.bind(("127.0.0.1", 0))
        forger.settimeout(30)
        address = f"127.0.0.1:{forger.getsockname()[1]}"
        settings = client(DNSBL="bl.test", DNSBL_TIMEOUT="20", XF_NAMESERVER=address)
        with resident("dnsbl", settings) as server, server.connect() as connection:
            connection.sendall(b"request=smtpd_access_policy\nclient_address=192.0.2.66\n\n")
            query, source = forger.recvfrom(512)
            listed = b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\2"
            wrong_ident = bytes([query[0] ^ 1, query[1]]) + listed
            wrong_name = query[:2] + listed.replace(b"\x02bl\x04test", b"\x02xy\x04test")
            cut_off = query[:2] + listed[:-2]
            for packet in (b"", b"x", query, wrong_ident, wrong_name, cut_off):
                forger.sendto(packet, source)
            forger.sendto(query[:2] + b"\x81\x83" + query[4:], source)
            assert connection.recv(100) == b"action=DUNNO\n\n"


def test_it_asks_a_server_on_ipv6(run, client):
    with serving(ZONE, "::1") as six:
        assert run(client(DNSBL="bl.test", XF_NAMESERVER=six.address)).returncode == 100


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DNSBL", "localzone"),
        ("DNSBL", "=127.0.0.2"),
        ("DNSBL", "bl.test*x"),
        ("DNSBL", "bl.test*0"),
        ("DNSBL", "bl.test*1001"),
        ("DNSBL", "bl.test="),
        ("DNSBL", "bl.test=127.0.0"),
        ("DNSBL", "bl.test=127.0.0.256"),
        ("DNSBL", "bl.test=127.0.0.[9..2]"),
        ("DNSBL", "a..test"),
        ("RHSBL_SENDER", "b\x07l.test"),
        ("XF_NAMESERVER", "dns.example"),
        ("XF_NAMESERVER", "127.0.0.1:0"),
        ("DNSBL_TIMEOUT", "soon"),
        ("DNSBL_THRESHOLD", "-3"),
        ("DNSBL_TROUBLE", "maybe"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line_that_names_it(run, client, nameserver, variable, value):
    beside = {"DNSBL": "other.test ", "XF_NAMESERVER": f"{nameserver.address} "}
    done = run(client(**{**beside, variable: beside.get(variable, "") + value}))
    assert done.returncode == 100
    assert len([line for line in done.stderr.splitlines() if variable in line]) == 1
    assert done.stderr.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "address", ["1.2.3.4.5", "1.2.3", "::1::", "a" * 300, "192.0.2.66\n", "192.0.2.66;x", "%eth0", "'"]
)
def test_a_client_without_an_address_passes(run, client, address):
    assert run(client(DNSBL="all.test", TCPREMOTEIP=address)).returncode == 0


@pytest.mark.parametrize(
    "name", ["a..b", "-", "x" * 64 + ".example", "a." * 130 + "b", "a\\.b.c", "a b.example", "@", ".", "ü" * 80 + ".de"]
)
@pytest.mark.parametrize("variable", ["REMOTEHELO", "TCPREMOTEHOST", "REMOTEMF"])
def test_what_is_no_domain_is_not_asked_for(run, client, nameserver, variable, name):
    before = len(nameserver.asked)
    lists = {"RHSBL_HELO": "h.none.test", "RHSBL_CLIENT": "c.none.test", "RHSBL_SENDER": "s.none.test"}
    wanted = {"REMOTEHELO": "good.example", "TCPREMOTEHOST": "good.example", "REMOTEMF": "x@good.example"}
    done = run(client(**lists, **{**wanted, variable: name}))
    assert done.returncode == 0
    assert sorted(asked for asked, _ in nameserver.asked[before:]) == sorted(
        f"good.example.{zone}.none.test"
        for zone, source in (("h", "REMOTEHELO"), ("c", "TCPREMOTEHOST"), ("s", "REMOTEMF"))
        if source != variable
    )


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
