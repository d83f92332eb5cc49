"""The kit's stub resolver: what it reads of packets and settings. dnsbl's tests have it ask real servers."""

import struct

import pytest
from dnslib import CNAME, QTYPE, RR, TXT, A, DNSRecord
from hypothesis import given
from hypothesis import strategies as st
from xfkit import resolver

from tests.nameserver import serving

NAME = "2.0.0.127.bl.test"
IDENT = b"ab"


def packet(kind):
    """Return a true answer to the question for NAME."""
    reply = DNSRecord.question(NAME, QTYPE[kind]).reply()
    reply.add_answer(RR(NAME, QTYPE.CNAME, rdata=CNAME("elsewhere.bl.test"), ttl=1))
    reply.add_answer(RR("elsewhere.bl.test", QTYPE.A, rdata=A("127.0.0.2"), ttl=1))
    reply.add_answer(RR("elsewhere.bl.test", QTYPE.TXT, rdata=TXT([b"one ", b"two"]), ttl=1))
    return IDENT + bytes(reply.pack())[2:]


def parse(data, kind=resolver.A):
    return resolver.parse(data, IDENT, resolver.wire(NAME) + struct.pack(">HH", kind, 1), kind)


@pytest.mark.parametrize(("kind", "records"), [(resolver.A, ["127.0.0.2"]), (resolver.TXT, ["one two"])])
def test_an_answer_is_the_records_of_the_kind_asked_for(kind, records):
    assert parse(packet(kind), kind) == (0, False, records)


def test_the_case_of_the_question_does_not_matter():
    assert parse(packet(resolver.A).replace(b"\2bl\4test", b"\2Bl\4TEST"))[2] == ["127.0.0.2"]


@pytest.mark.parametrize("kind", [resolver.A, resolver.TXT])
def test_an_answer_cut_anywhere_is_none(kind):
    whole = packet(kind)
    for size in range(len(whole)):
        with pytest.raises(resolver.Garbled):
            parse(whole[:size], kind)


@given(st.data(), st.sampled_from([resolver.A, resolver.TXT]))
def test_octets_changed_in_an_answer_do_no_harm(data, kind):
    octets = bytearray(packet(kind))
    for _ in range(data.draw(st.integers(1, 5))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, _, records = parse(bytes(octets), kind)
    except resolver.Garbled:
        return
    assert all(isinstance(record, str) for record in records)


@given(st.binary(max_size=600))
def test_any_octets_after_the_question_do_no_harm(octets):
    head = packet(resolver.A)[: 12 + len(resolver.wire(NAME)) + 4]
    try:
        parse(head + octets)
    except resolver.Garbled:
        pass


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64 + ".test", "a." * 127 + "bc", "ü.test"])
def test_a_name_that_cannot_be_asked_for_is_said(name):
    with pytest.raises(ValueError, match=r"label|name|ascii"):
        resolver.wire(name)


def test_the_longest_name_can_be_asked_for():
    assert len(resolver.wire("a." * 127)) == 255


@pytest.mark.parametrize(
    ("setting", "servers"),
    [
        ("127.0.0.1", [("127.0.0.1", 53)]),
        ("127.0.0.1:5353,::1", [("127.0.0.1", 5353), ("::1", 53)]),
        ("[2001:db8::1]:54 [::1]", [("2001:db8::1", 54), ("::1", 53)]),
        ("fe80::1%lo", [("fe80::1%lo", 53)]),
        ("dns.example 127.0.0.1:x 127.0.0.1:65536 [::1]:0 1.2.3.4", [("1.2.3.4", 53)]),
    ],
)
def test_servers_are_named_in_a_variable(setting, servers):
    assert resolver.servers({"XF_NAMESERVER": setting}) == servers


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("search x\nnameserver 192.0.2.1\n#nameserver 192.0.2.2\nnameserver ::1\n", [("192.0.2.1", 53), ("::1", 53)]),
        ("nameserver\nnameserver localhost\noptions edns0\n", [("127.0.0.1", 53)]),
        ("".join(f"nameserver 192.0.2.{n}\n" for n in range(9)), [(f"192.0.2.{n}", 53) for n in range(3)]),
        ("", [("127.0.0.1", 53)]),
    ],
)
def test_servers_are_read_from_a_file_else(text, servers, tmp_path):
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    assert resolver.servers({}, str(file)) == servers
    assert resolver.servers({}, str(tmp_path / "none")) == [("127.0.0.1", 53)]


def test_answers_come_in_the_order_of_the_questions():
    zone = {f"n{n}.test": [("A", f"127.0.0.{n}")] for n in range(100)}
    with serving(zone) as server:
        asked = [(name, resolver.A) for name in [*zone, "unknown.test"]]
        *known, unknown = resolver.lookup(asked, [("127.0.0.1", server.port)], 30)
    assert [answer.records for answer in known] == [(f"127.0.0.{n}",) for n in range(100)]
    assert (unknown.records, unknown.trouble) == ((), "")


def test_what_is_not_answered_in_time_is_trouble():
    with serving({"*.test": [("SILENT", None)]}) as server:
        (answer,) = resolver.lookup([("slow.test", resolver.A)], [("127.0.0.1", server.port)], 0.2)
    assert (answer.records, answer.trouble) == ((), "no answer in time")
