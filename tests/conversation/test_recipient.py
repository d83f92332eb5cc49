"""RCPT: the site's own lists, then the checkers (conversation/recipient.py, conversation/policy.py)."""

from collections.abc import Callable

import pytest

from qmailfork.conversation.requests import Run
from qmailfork.programs.outcome import EXITED, EXPIRED, SIGNALLED, UNSTARTED, Outcome
from tests.conversation.scripted import HELO, MAIL, RCPT, Played, Script, play, replies, site

BAD_SENDER = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"
NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
SYNTAX = b"555 syntax error (#5.5.4)"


def rcpt(address: bytes, **changes: object) -> bytes:
    return replies(play([MAIL + b"RCPT TO:<" + address + b">\r\n"], site(**changes)))[1]


@pytest.mark.parametrize(
    ("address", "reply"),
    [
        (b"joe@joedomain.net", b"250 ok"),
        (b"joe@JoeDomain.NET", b"250 ok"),
        (b"joe@a.sub.org", b"250 ok"),
        (b"joe@b.a.sub.org", b"250 ok"),
        (b"joe@sub.org", NO_GATEWAY),
        (b"joe@a.joedomain.net", NO_GATEWAY),
        (b"joe@xjoedomain.net", NO_GATEWAY),
        (b"joe@joedomain.net.", NO_GATEWAY),
        (b"joe@joedomain.net@elsewhere.org", NO_GATEWAY),
        (b"a@elsewhere.org@joedomain.net", b"250 ok"),
        (b"joe@", NO_GATEWAY),
        (b"joe", b"250 ok"),
        (b"", b"250 ok"),
        (b"joe%elsewhere.org", b"250 ok"),
        (b"joe@more.example", b"250 ok"),
        (b"joe@MORE.example", b"250 ok"),
        (b"joe@x.more.example", NO_GATEWAY),
        (b"joe@x.dotted.example", b"250 ok"),
    ],
)
def test_rcpthosts(address: bytes, reply: bytes) -> None:
    lists = {"rcpthosts": frozenset([b"joedomain.net", b".sub.org"]), "local_host": None}
    more = frozenset([b"more.example", b".dotted.example"]).__contains__
    assert rcpt(address, more_rcpthosts=more, **lists) == reply


def test_without_rcpthosts_everything_is_taken() -> None:
    assert rcpt(b"joe@elsewhere.org", rcpthosts=None) == b"250 ok"


@pytest.mark.parametrize(
    ("sender", "how"),
    [
        (b"spam@bad.example", b"@"),
        (b"x@y@BAD.example", b"@"),
        (b"Evil@Example.NET", b"@"),
        (b"good@example.net", b""),
        (b"spam@x.bad.example", b""),
        (b"bad.example", b""),
        (b"", b""),
    ],
)
def test_badmailfrom_is_told_at_rcpt(sender: bytes, how: bytes) -> None:
    lists = frozenset([b"@bad.example", b"evil@example.net"])
    played = play([b"MAIL FROM:<" + sender + b">\r\n" + RCPT], site(bad_senders=lists))
    assert replies(played) == [b"250 ok", BAD_SENDER if how else b"250 ok"]
    condition = b"Reject::ORIG::Bad_Mailfrom" if how else b"Accept::RCPT::Rcpthosts_Rcptto"
    assert [(event.condition, event.info) for event in played.notes] == [(condition, how or None)]


@pytest.mark.parametrize(
    ("address", "recipient"),
    [
        (b"joe@[192.0.2.1]", b"joe@mail.joedomain.net"),
        (b"joe@[192.000.2.001]", b"joe@mail.joedomain.net"),
        (b"a@b@[192.0.2.1]", b"a@b@mail.joedomain.net"),
        (b"joe@[192.0.2.2]", b"joe@[192.0.2.2]"),
    ],
)
def test_localiphost(address: bytes, recipient: bytes) -> None:
    played = play([MAIL + b"RCPT TO:<" + address + b">\r\nDATA\r\n.\r\n"], site(rcpthosts=None))
    assert played.queued[0][1] == b"Fa@example.net\0T" + recipient + b"\0\0"


def test_localiphost_in_a_sender() -> None:
    played = play([b"MAIL FROM:<a@[192.0.2.1]>\r\n" + RCPT + b"DATA\r\n.\r\n"])
    assert played.queued[0][1] == b"Fa@mail.joedomain.net\0Tjoe@joedomain.net\0\0"


def test_a_host_without_localiphost_has_none() -> None:
    assert rcpt(b"joe@[192.0.2.1]", local_host=None) == NO_GATEWAY


@pytest.mark.parametrize(
    ("address", "reply"),
    [
        (b"j" * 885 + b"@joedomain.net", b"250 ok"),  # 899 octets
        (b"j" * 886 + b"@joedomain.net", SYNTAX),
        (b"j" * 880 + b"@[192.0.2.1]", b"250 ok"),
        (b"j" * 881 + b"@[192.0.2.1]", SYNTAX),  # 900 octets with localiphost's name
        (b"joe@[192.0.2.257]", SYNTAX),
    ],
)
def test_the_length_of_an_address(address: bytes, reply: bytes) -> None:
    assert rcpt(address, rcpthosts=None) == reply


def test_the_length_of_a_sender() -> None:
    assert replies(play([b"MAIL FROM:<" + b"a" * 900 + b">\r\n"])) == [SYNTAX]


class TestRelayClients:
    def envelope(self, suffix: bytes, recipient: bytes) -> bytes:
        played = play([MAIL + b"RCPT TO:<" + recipient + b">\r\nDATA\r\n.\r\n"], site(relay_suffix=suffix))
        assert played.conditions[0] == b"Accept::SNDR::Relay_Client"
        return played.queued[0][1]

    def test_reach_everyone(self) -> None:
        assert self.envelope(b"", b"x@elsewhere.org") == b"Fa@example.net\0Tx@elsewhere.org\0\0"

    @pytest.mark.parametrize("recipient", [b"x@anywhere.org", b"joe", b""])
    def test_get_the_suffix_behind_every_recipient(self, recipient: bytes) -> None:
        assert self.envelope(b"@fix.me", recipient) == b"Fa@example.net\0T" + recipient + b"@fix.me\0\0"

    def test_do_not_have_the_suffix_counted(self) -> None:
        assert rcpt(b"j" * 899, relay_suffix=b"@fix.me") == b"250 ok"

    def test_are_held_to_badmailfrom(self) -> None:
        assert rcpt(b"x@elsewhere.org", relay_suffix=b"", bad_senders=frozenset([b"a@example.net"])) == BAD_SENDER


def ends(*outcomes: Outcome) -> Callable[[list[bytes], dict[bytes, bytes]], Outcome]:
    """Checkers that end so, one after the other."""
    left = iter(outcomes)
    return lambda argv, environment: next(left)


def checked(variables: dict[bytes, bytes], *outcomes: Outcome, more: bytes = b"NOOP\r\n", **changes: object) -> Played:
    """A session with one recipient and these checkers."""
    return play([HELO + MAIL + RCPT + more], site(variables, **changes), Script(run=ends(*outcomes)))


THREE = {b"SMTPEXTFORK": b"/a,/b,/c"}
PASSED = Outcome(EXITED, 0)


class TestCheckers:
    def test_run_in_order_with_the_three_variables(self) -> None:
        played = checked(THREE, PASSED, Outcome(EXITED, 7), Outcome(EXITED, 255))
        assert [run.argv for run in played.runs] == [[b"/a"], [b"/b"], [b"/c"]]
        seen = {b"REMOTEMF": b"a@example.net", b"REMOTEHELO": b"foo", b"REMOTERCPT": b"joe@joedomain.net"}
        assert all(run.environment == seen for run in played.runs)
        assert {run.seconds for run in played.runs} == {60.0}
        assert replies(played)[2:] == [b"250 ok", b"250 ok"]
        assert played.conditions == [b"Accept::RCPT::Rcpthosts_Rcptto"]
        assert [checker.program for checker, _ in played.notes[0].checks] == [b"/a", b"/b", b"/c"]

    def test_stop_at_the_first_that_refuses(self) -> None:
        played = checked(THREE, PASSED, Outcome(EXITED, 100), more=b"DATA\r\n")
        assert [run.argv for run in played.runs] == [[b"/a"], [b"/b"]]
        assert replies(played)[2:] == [
            b"554 sorry, permanent envelope failure due to local policy", b"503 RCPT first (#5.5.1)",
        ]  # fmt: skip
        assert played.conditions == [b"Reject::RCPT::Extfork_100"]
        assert played.notes[0].info == b"/b"

    def test_run_for_each_recipient(self) -> None:
        more = b"RCPT TO:<ann@joedomain.net>\r\nDATA\r\n.\r\n"
        played = checked({b"SMTPEXTFORK": b"/a"}, Outcome(EXITED, 101), PASSED, more=more)
        assert [run.environment[b"REMOTERCPT"] for run in played.runs] == [b"joe@joedomain.net", b"ann@joedomain.net"]
        assert played.queued[0][1] == b"Fa@example.net\0Tann@joedomain.net\0\0"

    @pytest.mark.parametrize(
        "line", [b"RCPT TO:<x@elsewhere.org>\r\n", b"RCPT x\r\n", b"RCPT TO:<" + b"x" * 900 + b">\r\n"]
    )
    def test_do_not_run_for_what_is_refused_anyway(self, line: bytes) -> None:
        assert play([MAIL + line], site(THREE)).runs == []

    def test_do_not_run_for_a_bad_sender(self) -> None:
        assert play([MAIL + RCPT], site(THREE, bad_senders=frozenset([b"a@example.net"]))).runs == []

    def test_see_an_empty_helo_before_any_and_an_empty_sender(self) -> None:
        played = play([b"MAIL FROM:<>\r\n" + RCPT], site(THREE))
        assert played.runs[0].environment[b"REMOTEHELO"] == played.runs[0].environment[b"REMOTEMF"] == b""

    def test_see_the_recipient_without_the_relay_suffix(self) -> None:
        variables = {b"SMTPEXTFORKR": b"/r", b"RELAYCLIENT": b"@fix.me"}
        played = checked(variables, Outcome(EXITED, 100), relay_suffix=b"@fix.me")
        assert played.runs[0].environment[b"REMOTERCPT"] == b"joe@joedomain.net"
        assert played.notes[0].recipient == b"joe@joedomain.net@fix.me"

    @pytest.mark.parametrize(
        ("outcome", "word"),
        [(Outcome(UNSTARTED, 2), b"Exec"), (Outcome(SIGNALLED, 9), b"Signal"), (Outcome(EXPIRED, 0), b"Timeout")],
    )
    @pytest.mark.parametrize(
        ("fail", "code", "kind"),
        [(b"pass", b"", b""), (b"defer", b"451", b"temporary"), (b"reject", b"554", b"permanent")],
    )
    def test_that_fail(self, outcome: Outcome, word: bytes, fail: bytes, code: bytes, kind: bytes) -> None:
        played = checked({b"SMTPEXTFORK": b"/a,/b", b"SMTPEXTFORKFAIL": fail}, outcome, PASSED)
        assert played.conditions[0] == b"Error::RCPT::Extfork_" + word
        if code:
            assert replies(played)[2] == code + b" sorry, " + kind + b" envelope failure due to local policy"
            assert played.conditions[1:] == [b"Reject::RCPT::Extfork_" + word]
        else:
            assert played.conditions[1:] == [b"Accept::RCPT::Rcpthosts_Rcptto"]

    @pytest.mark.parametrize("outcome", [Outcome(EXITED, 100), Outcome(EXITED, 101), Outcome(SIGNALLED, 9)])
    def test_quitasap_closes_after_any_refusal(self, outcome: Outcome) -> None:
        variables = {b"SMTPEXTFORK": b"/a", b"SMTPEXTFORKFAIL": b"defer", b"XF_QUITASAP": b"1"}
        played = checked(variables, outcome)
        assert replies(played)[-1].startswith((b"554 ", b"454 ", b"451 "))
        assert (played.ending.status, len(played.exchanges)) == (0, 1)

    def test_quitasap_does_not_close_after_an_acceptance(self) -> None:
        assert replies(checked({b"SMTPEXTFORK": b"/a", b"XF_QUITASAP": b"1"}, PASSED))[-1] == b"250 ok"

    def test_421_closes_by_itself(self) -> None:
        played = checked({b"SMTPEXTFORK": b"/a", b"SMTPEXTFORKCODES": b"7=421"}, Outcome(EXITED, 7))
        assert replies(played)[-1] == b"421 sorry, temporary envelope failure due to local policy"
        assert played.ending.status == 0

    def test_own_words_of_more_lines(self) -> None:
        played = checked({b"SMTPEXTFORK": b"/a", b"554SMTPEXTFORK": b"one\ntwo"}, Outcome(EXITED, 100))
        assert replies(played)[2:4] == [b"554-one", b"554 two"]

    def test_a_time_limit_of_the_sites_own(self) -> None:
        played = checked({b"SMTPEXTFORK": b"/a", b"SMTPEXTFORKTIMEOUT": b"1.5"}, PASSED)
        assert isinstance(played.runs[0], Run)
        assert played.runs[0].seconds == 1.5

    def test_each_has_what_is_left_of_the_lists_time(self) -> None:
        took = [Outcome(EXITED, 0, b"", milliseconds) for milliseconds in (1000.0, 250.0, 0.0)]
        variables = {**THREE, b"SMTPEXTFORKTOTAL": b"1.5", b"SMTPEXTFORKTIMEOUT": b"1.25"}
        assert [run.seconds for run in checked(variables, *took).runs] == [1.25, 0.5, 0.25]

    def test_set_no_more_than_a_hundred_fields(self) -> None:
        def fields(first: int, last: int) -> bytes:
            return b"".join(b"Header: X-%d: x\n" % number for number in range(first, last))

        outcomes = [Outcome(EXITED, 0, fields(first, last)) for first, last in ((0, 60), (40, 100), (99, 101))]
        variables = {b"SMTPEXTFORK": b"/a", b"SMTPEXTFORKHEADERS": b"1"}
        played = checked(variables, *outcomes, more=RCPT + RCPT + b"DATA\r\n.\r\n")
        assert played.queued[0][0].startswith(b"".join(b"X-%d: x\n" % number for number in range(100)) + b"Received: ")
        remarks = [event.info for event in played.notes if event.condition == b"Info::RCPT::Extfork_Header"]
        assert remarks == [b"more than 100 header fields"]
