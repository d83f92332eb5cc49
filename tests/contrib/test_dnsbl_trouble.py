"""dnsbl where lists, servers, settings and clients are not as they should be."""

import socket
import threading
import time

import pytest
from dnslib import QTYPE, RR, A, DNSRecord

from tests import dnszones
from tests.checkerforms import resident
from tests.nameserver import serving
from tests.support import wait_for

PROGRAM = "dnsbl"
ZONE = dnszones.LISTS
CLIENT = {
    "TCPREMOTEIP": "192.0.2.66",
    "REMOTEMF": "sender@good.example",
    "REMOTERCPT": "rcpt@here.example",
    "REMOTEHELO": "mx.good.example",
}


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


def test_a_cut_answer_whose_rest_does_not_come_holds_up_no_other_list(run, client):
    with socket.create_server(("127.0.0.1", 0)) as mute, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(mute.getsockname())
        threading.Thread(target=answer_two, args=(server, mute), daemon=True).start()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        done = run(client(DNSBL="cut.test other.test", DNSBL_TIMEOUT="2", XF_NAMESERVER=address))
    assert done.returncode == 100
    assert " cut.test: 127.0.0.1: " in done.stderr


def answer_two(server, mute):
    """Send an answer that is cut at once, and when that is being asked for over TCP the other one."""
    questions = sorted((server.recvfrom(512) for _ in range(2)), key=lambda pair: b"other" in pair[0])
    for (packet, client), cut in zip(questions, (True, False), strict=True):
        reply = DNSRecord.parse(packet).reply()
        reply.header.tc = cut
        if not cut:
            connection = mute.accept()
            reply.add_answer(RR(reply.q.qname, QTYPE.A, rdata=A("127.0.0.2")))
        server.sendto(reply.pack(), client)
    connection[0].recv(512)
    while connection[0].recv(512):  # until the checker has had enough
        pass


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


def test_a_request_that_is_being_answered_is_finished_before_the_end(client, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as slow:
        slow.bind(("127.0.0.1", 0))
        slow.settimeout(30)
        settings = client(DNSBL="bl.test", DNSBL_TIMEOUT="20", XF_NAMESERVER=f"127.0.0.1:{slow.getsockname()[1]}")
        path = tmp_path / "socket"
        with resident("dnsbl", settings, f"unix:{path}") as server, server.connect() as connection:
            connection.sendall(b"request=smtpd_access_policy\nclient_address=192.0.2.66\n\n")
            query, source = slow.recvfrom(512)
            server.process.terminate()
            wait_for(lambda: not path.exists(), what="the end of listening")
            slow.sendto(query[:2] + b"\x81\x83" + query[4:], source)
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
        ("DNSBL", "bl.test=127.0.0.[0..99999999999]"),
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
