"""Postfix policy delegation as data (programs/policy.py): the question, octet by octet, and what an answer means."""

import pytest

from qmailfork.programs.checkers import Contract
from qmailfork.programs.outcome import ANSWERED, BROKEN, EXPIRED, UNSTARTED, Outcome
from qmailfork.programs.peer import Peer
from qmailfork.programs.policy import BadAddress, PolicyServer, address
from qmailfork.programs.verdict import PERMIT, REJECT, Envelope, Verdict

EMPTY = (
    "queue_id", "etrn_domain", "stress", "sasl_sender", "ccert_subject", "ccert_issuer", "ccert_fingerprint",
    "ccert_pubkey_fingerprint", "encryption_protocol", "encryption_cipher", "policy_context",
)  # fmt: skip
OF_THE_SESSION = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "client_address": "203.0.113.7",
    "client_name": "mx.example.net",
    "reverse_client_name": "mx.example.net",
    "client_port": "43769",
    "server_address": "192.0.2.1",
    "server_port": "25",
    **dict.fromkeys(EMPTY, ""),
    "recipient_count": "0",
    "encryption_keysize": "0",
}
OF_THE_RECIPIENT = {
    "sasl_method": "",
    "sasl_username": "",
    "protocol_name": "ESMTP",
    "helo_name": "foo",
    "sender": "a?b@example.net",
    "recipient": "joe@joedomain.net",
    "size": "77",
    "instance": "4711.1",
}


def client(host: bytes = b"mx.example.net") -> Peer:
    return Peer(b"203.0.113.7", host, b"joe", b"mail.joedomain.net", b"43769", (b"192.0.2.1", b"25"), b"4711")


def envelope(peer: Peer) -> Envelope:
    made = Envelope()
    made.peer, made.sender, made.helo, made.recipient = peer, b"a\nb@example.net", b"foo", b"joe@joedomain.net"
    made.extended, made.size, made.message, made.login = True, 77, b"4711.1", None
    return made


def asked(server: PolicyServer, made: Envelope) -> dict[str, str]:
    *lines, last, rest = server.question(made).decode().split("\n")
    assert last == rest == ""
    return dict(line.split("=", 1) for line in lines)


def test_the_question() -> None:
    server, made = PolicyServer(b"inet:127.0.0.1:10023"), envelope(client())
    assert asked(server, made) == {**OF_THE_SESSION, **OF_THE_RECIPIENT}
    made.login, made.extended, made.recipient = (b"joe", b"plain"), False, b"x=y@joedomain.net"
    known = {"sasl_method": "plain", "sasl_username": "joe", "protocol_name": "SMTP", "recipient": "x=y@joedomain.net"}
    assert asked(server, made) == {**OF_THE_SESSION, **OF_THE_RECIPIENT, **known}


def test_another_client_is_another_question() -> None:
    server = PolicyServer(b"unix:/policy")
    for host, name in ((b"mx.example.net", "mx.example.net"), (b"", "unknown"), (b"b.example", "b.example")):
        found = asked(server, envelope(client(host)))
        assert (found["client_name"], found["reverse_client_name"]) == (name, name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b" unix:/a b ", b"/a b"),
        (b"unix:relative", b"relative"),
        (b"inet:127.0.0.1:10023", (b"127.0.0.1", 10023)),
        (b"inet:[::1]:1", (b"::1", 1)),
        (b"inet:10023", (b"127.0.0.1", 10023)),
        (b"inet::65535", (b"127.0.0.1", 65535)),
        (b"inet:localhost:00025", (b"localhost", 25)),
    ],
)
def test_addresses(text: bytes, found: object) -> None:
    assert address(text) == found


@pytest.mark.parametrize(
    "text",
    [b"", b"unix:", b"inet:", b"inet:a", b"inet:a:", b"inet:a:0", b"inet:a:-1", b"inet:a:65536", b"tcp:a:1",
     b"inet:a:smtp", b"inet:a:0065535999", b"inet:a:99999999999"],
)  # fmt: skip
def test_what_is_no_address(text: bytes) -> None:
    with pytest.raises(BadAddress):
        address(text)


def judged(answer: bytes, how: str = ANSWERED, **variables: str) -> Verdict:
    contract = Contract({name.encode(): value.encode() for name, value in variables.items()})
    return PolicyServer(b"unix:/policy").judge(contract, Outcome(how, 0, answer))


@pytest.mark.parametrize(
    ("action", "code", "words"),
    [
        (b"REJECT", b"554", ()),
        (b"reject not\tyou", b"554", (b"5.7.1 not you",)),
        (b"REJECT 5.1.1 who", b"554", (b"5.1.1 who",)),
        (b"DEFER later\xff", b"450", (b"4.7.1 later?",)),
        (b"400 x", b"400", (b"x",)),
        (b"599", b"599", ()),
    ],
)
def test_a_refusal(action: bytes, code: bytes, words: tuple[bytes, ...]) -> None:
    verdict = judged(b"ignored=1\naction=" + action + b"\naction=OK\n\n")
    assert (verdict.code, verdict.words, verdict.condition) == (code, words, b"Extfork_" + code)
    assert (verdict.failed, verdict.ends, verdict.closes, verdict.waits) == (b"", False, False, "")


@pytest.mark.parametrize("action", [b"OK", b"permit x", b"200", b"399", b"600", b"45", b"4500"])
def test_an_acceptance_ends_the_list(action: bytes) -> None:
    verdict = judged(b"action=" + action + b"\n\n")
    assert (verdict.code, verdict.failed, verdict.ends) == (b"", b"", True)


@pytest.mark.parametrize(
    ("action", "attribute", "value"),
    [
        (b"421 go", "closes", True),
        (b"521 go", "closes", True),
        (b"DEFER_IF_PERMIT x", "waits", PERMIT),
        (b"DEFER_IF_REJECT x", "waits", REJECT),
        (b"DUNNO", "ends", False),
        (b"PREPEND X-A: b", "headers", (b"X-A: b",)),
        (b"WARN take care", "remarks", ((b"Extfork_Warn", b"take care"),)),
        (b"INFO it is", "remarks", ((b"Extfork_Info", b"it is"),)),
        (b"HOLD it", "remarks", ((b"Extfork_Action", b"HOLD it"),)),
        (b"399 x", "remarks", ((b"Extfork_Action", b"399 x"),)),
        (b"600 x", "failed", b"Extfork_Action"),
        (b"4500 x", "failed", b"Extfork_Action"),
    ],
)
def test_other_actions(action: bytes, attribute: str, value: object) -> None:
    assert getattr(judged(b"action=" + action + b"\n\n"), attribute) == value


@pytest.mark.parametrize(
    ("answer", "how", "failed"),
    [
        (b"", UNSTARTED, b"Connect"),
        (b"action=OK\n\n", EXPIRED, b"Timeout"),
        (b"action=OK\n", BROKEN, b"Protocol"),
        (b"reaction=OK\n\n", ANSWERED, b"Protocol"),
        (b"action=\n\n", ANSWERED, b"Action"),
        (b"action=HOLD\n\n", ANSWERED, b"Action"),
    ],
)
@pytest.mark.parametrize(("fail", "code"), [("pass", b""), ("defer", b"451"), ("reject", b"554")])
def test_what_is_no_answer(answer: bytes, how: str, failed: bytes, fail: str, code: bytes) -> None:
    verdict = judged(answer, how, SMTPEXTFORKFAIL=fail)
    assert (verdict.failed, verdict.code, verdict.ends) == (b"Extfork_" + failed, code, False)
