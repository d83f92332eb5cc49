"""spamcontrol's switches in the conversation: what is asked, in which order, of whom."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.conversation.settings import ControlFault
from qmailfork.conversation.switches import Switches
from qmailfork.programs.addresses import BadNames, BadRecipients, BadSenders
from qmailfork.programs.recipients import Recipients
from tests.conversation.scripted import GREETING, HELO, MAIL, RCPT, Played, Script, play, replies, site


def switches(**changes: Any) -> Switches:
    """Switches of which none is set, with `changes`."""
    result = Switches()
    defaults: dict[str, Any] = {
        "bad_names": None, "bad_recipients": None, "bad_senders": None, "check_name": None, "later": False,
        "get": lambda path, key: None, "greet_delay": 0, "most_recipients": 0, "own_senders": None, "recipients": None,
        "replies": {}, "sender_in_dns": False, "tarpit_count": 0, "tarpit_delay": 0,
    }  # fmt: skip
    for name, value in {**defaults, **changes}.items():
        setattr(result, name, value)
    return result


def hold(arrivals: bytes = HELO + MAIL + RCPT, script: Script | None = None, **given: Any) -> Played:
    """A session with these switches; what Settings has a name for goes there."""
    own = {name: given.pop(name) for name in ("relay_suffix", "rcpthosts", "bad_senders_file") if name in given}
    return play([arrivals], site(switches=switches(**given), **own), script)


def last(played: Played) -> bytes:
    return replies(played)[-1]


EVERYTHING: dict[str, Any] = {
    "check_name": b"M", "bad_names": BadNames([b"foo"]), "sender_in_dns": True, "rcpthosts": frozenset(),
    "recipients": Recipients([]), "bad_senders": BadSenders([b"*"]), "bad_recipients": BadRecipients([b"*"]),
    "tarpit_count": 1, "tarpit_delay": 5,
}  # fmt: skip
IN_ORDER = (  # what is wrong, and what has to be mended for the next one to show
    (b"Reject::SNDR::Bad_Helo", {"bad_names": None}),
    (b"Reject::SNDR::DNS_Helo", {"check_name": None}),
    (b"Reject::ORIG::DNS_MF", {"sender_in_dns": False}),
    (b"Reject::SNDR::Invalid_Relay", {"rcpthosts": frozenset([b"joedomain.net"])}),
    (b"Reject::RCPT::Failed_Rcptto", {"recipients": None}),
    (b"Reject::ORIG::Bad_Mailfrom", {"bad_senders": None}),
    (b"Reject::RCPT::Bad_Rcptto", {"bad_recipients": None}),
    (b"Accept::RCPT::Rcpthosts_Rcptto", {}),
)


def test_the_order_is_spamcontrols() -> None:
    given = dict(EVERYTHING)
    for condition, mended in IN_ORDER:
        assert hold(script=Script(names=lambda name: []), **given).conditions == [condition]
        given.update(mended)


@pytest.mark.parametrize("found", [[b"192.0.2.1"], [b"mx.example."]])
def test_a_sender_that_dns_knows(found: list[bytes]) -> None:
    played = hold(script=Script(names=lambda name: found), sender_in_dns=True)
    assert last(played) == b"250 ok"
    assert played.asked == [(b"example.net", ("MX", "A", "AAAA"))]


def test_dns_is_asked_once_for_a_name() -> None:
    played = hold(HELO + MAIL + RCPT + RCPT + MAIL.upper() + RCPT, sender_in_dns=True)
    assert len(played.asked) == 1


def test_a_name_that_no_domain_can_have_is_not_looked_up() -> None:
    played = hold(b"MAIL FROM:<a@" + b"x." * 127 + b"x>\r\n" + RCPT, sender_in_dns=True)
    assert played.asked == []
    assert last(played).startswith(b"553 sorry, your envelope sender must exist")


def test_an_exempt_sender_is_not_looked_up() -> None:
    assert hold(bad_senders=BadSenders([b"?@example.net", b"*"]), sender_in_dns=True).asked == []


def test_a_relay_client_is_asked_for_its_own_sender_alone() -> None:
    given = {**EVERYTHING, "bad_senders": None, "bad_recipients": None}
    assert hold(relay_suffix=b"", **given).conditions == [b"Accept::SNDR::Relay_Client"]


@pytest.mark.parametrize(
    ("word", "condition"),
    [
        (b"", b"Reject::ORIG::Invalid_Mailfrom"),
        (b"example.net", b"Accept::ORIG::Local_Sender"),
        (b"Example.Net", b"Accept::ORIG::Local_Sender"),
        (b"example.org", b"Reject::ORIG::Invalid_Mailfrom"),
        (b"?", b"Reject::ORIG::Invalid_Mailfrom"),
        (b"=", b"Reject::ORIG::Invalid_Mailfrom"),
        (b"!", b"Accept::ORIG::Local_Sender"),
    ],
)
def test_a_relay_clients_own_sender(word: bytes, condition: bytes) -> None:
    asked = []

    def get(path: bytes, key: bytes) -> bytes | None:
        asked.append(path)
        return b"+@example.net" if key == b"203.0.113.7" else None

    played = hold(relay_suffix=b"", own_senders=word, get=get)
    assert played.conditions == [condition]
    assert asked == ([b"control/mailfromrules.cdb"] if word == b"!" else [])


def test_the_mark_of_an_own_sender_is_for_its_message_alone() -> None:
    other = b"MAIL FROM:<a@example.org>\r\n"
    played = hold(HELO + MAIL + RCPT + RCPT + other + RCPT, relay_suffix=b"", own_senders=b"example.net")
    assert [event.protocol for event in played.notes] == [b"ESMTPM", b"ESMTPM", b"ESMTP"]


def test_a_cdb_that_cannot_be_read_ends_the_session() -> None:
    def get(path: bytes, key: bytes) -> bytes | None:
        raise ControlFault("users/recipients.cdb: gone")

    played = hold(recipients=Recipients([b"users/recipients.cdb"]), get=get)
    assert played.ending.reply.endswith(b"421 unable to read controls (#4.3.0)\r\n")
    assert played.conditions == [b"Error::SNDR::Controls"]


def test_a_cdb_is_asked_for_the_address_and_its_extension() -> None:
    asked = []

    def get(path: bytes, key: bytes) -> bytes | None:
        asked.append((path, key))
        return None

    hold(MAIL + b"RCPT TO:<List-Owner-X@joedomain.net>\r\n", recipients=Recipients([b"*:a.cdb"]), get=get)
    assert asked == [(b"a.cdb", b":list-owner-x@joedomain.net"), (b"a.cdb", b":list-@joedomain.net")]


def test_a_client_waits_from_the_first_recipient_that_is_too_many() -> None:
    played = hold(HELO + MAIL + RCPT + RCPT + RCPT + MAIL + RCPT, tarpit_count=2, tarpit_delay=7)
    assert played.waits == [7, 7]
    assert played.exchanges[1:3] == [b"250 mail.joedomain.net\r\n250 ok\r\n250 ok\r\n", b"250 ok\r\n"]


def test_a_wait_is_for_recipients_of_our_domains() -> None:
    assert hold(MAIL + b"RCPT TO:<x@elsewhere.org>\r\n", tarpit_count=1, tarpit_delay=7).waits == []


@pytest.mark.parametrize(
    ("early", "said", "conditions"),
    [
        (None, GREETING, []),
        (b"HELO foo\r\n", b"554 sorry, you spoke before my greeting (#5.5.1)\r\n", [b"Reject::SNDR::Early_Talker"]),
        (b"", b"", []),
    ],
)
def test_a_client_before_the_greeting(early: bytes | None, said: bytes, conditions: list[bytes]) -> None:
    played = hold(b"", Script(early=early), greet_delay=9)
    assert (played.said, played.waits, played.conditions) == (said, [9], conditions)
    assert played.ending.status == 1


def test_dns_that_cannot_be_asked_ends_the_session() -> None:
    fault = ControlFault("python: the Python library dns.resolver is not installed")
    played = hold(script=Script(names=lambda name: fault), sender_in_dns=True)
    assert played.ending.reply.endswith(b"421 unable to read controls (#4.3.0)\r\n")
    assert played.conditions == [b"Error::SNDR::Controls"]


LINE = st.binary(max_size=60).map(lambda octets: octets.replace(b"\n", b"").replace(b"\r", b""))


@given(name=LINE, sender=LINE, recipient=LINE, relays=st.booleans(), known=st.booleans())
def test_whatever_a_client_says_has_a_reply(
    name: bytes, sender: bytes, recipient: bytes, relays: bool, known: bool
) -> None:
    lines = b"HELO %b\r\nMAIL FROM:<%b>\r\nRCPT TO:<%b@joedomain.net>\r\nQUIT\r\n" % (name, sender, recipient)
    given = {**EVERYTHING, "rcpthosts": None, "recipients": Recipients([b"*:a.cdb"]), "own_senders": b"!"}
    script = Script(names=lambda asked: [b"mx."] if known else None)
    played = hold(lines, script, relay_suffix=b"" if relays else None, **given)
    assert all(re.fullmatch(rb"[2-5]\d\d[ -][ -~]*", line) for line in replies(played))
    assert len(replies(played)) == 4
