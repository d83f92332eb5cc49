"""The checker contract as data (programs/checkers.py): the list, what an exit code means, the words of a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs import checkers
from qmailfork.programs.checkers import Contract
from qmailfork.programs.outcome import EXITED, EXPIRED, SIGNALLED, UNSTARTED, Outcome
from qmailfork.programs.verdict import Envelope, Verdict


def contract(**variables: str) -> Contract:
    """A contract from these variables; a name that must begin with a digit is given with an underscore before it."""
    return Contract({name.lstrip("_").encode(): value.encode("latin-1") for name, value in variables.items()})


def lists(made: Contract) -> list[list[bytes]]:
    return [entry.argv for entry in made.entries]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, []),
        ({"SMTPEXTFORK": ""}, []),
        ({"SMTPEXTFORK": "/a"}, [[b"/a"]]),
        ({"SMTPEXTFORK": "/a,/b,/c"}, [[b"/a"], [b"/b"], [b"/c"]]),
        ({"SMTPEXTFORK": " /a , /b\t,\n/c "}, [[b"/a"], [b"/b"], [b"/c"]]),
        ({"SMTPEXTFORK": ",/a,, ,/b,"}, [[b"/a"], [b"/b"]]),
        ({"SMTPEXTFORK": "/a one  two,b/c"}, [[b"/a", b"one", b"two"], [b"b/c"]]),
        ({"SMTPEXTFORK": "/a,/a"}, [[b"/a"], [b"/a"]]),
        ({"SMTPEXTFORK": "/\xff"}, [[b"/\xff"]]),
        ({"SMTPEXTFORKR": "/r"}, []),
        ({"SMTPEXTFORK": "/a", "SMTPEXTFORKR": "/r"}, [[b"/a"]]),
        ({"SMTPEXTFORK": "/a", "SMTPEXTFORKR": "/r", "RELAYCLIENT": ""}, [[b"/r"]]),
        ({"SMTPEXTFORK": "/a", "RELAYCLIENT": "@fix.me"}, []),
        ({"SMTPEXTFORK": "/a", "SMTPEXTFORKR": "", "RELAYCLIENT": ""}, []),
    ],
)
def test_the_list(variables: dict[str, str], expected: list[list[bytes]]) -> None:
    assert lists(contract(**variables)) == expected


@pytest.mark.parametrize(
    ("variables", "unset"),
    [
        ({"SMTPEXTFORK": "/a", "RELAYCLIENT": ""}, True),
        ({"SMTPEXTFORK": "/a"}, False),
        ({"RELAYCLIENT": ""}, False),
        ({"SMTPEXTFORK": "", "RELAYCLIENT": ""}, False),
        ({"SMTPEXTFORK": "/a", "SMTPEXTFORKR": "", "RELAYCLIENT": ""}, False),
        ({"SMTPEXTFORK": "/a", "SMTPEXTFORKR": "/r", "RELAYCLIENT": ""}, False),
    ],
)
def test_a_relay_list_that_was_forgotten(variables: dict[str, str], unset: bool) -> None:
    assert contract(**variables).unset_relay_list is unset


def judged(made: Contract, outcome: Outcome) -> Verdict:
    """What this end of a plain checker means under the contract."""
    return checkers.checker(b"/a").judge(made, outcome)


def test_the_program_is_the_path_without_arguments() -> None:
    assert contract(SMTPEXTFORK="/a/b c d").entries[0].program == b"/a/b"


@pytest.mark.parametrize("code", range(256))
def test_every_exit_code_by_default(code: int) -> None:
    verdict = judged(contract(), Outcome(EXITED, code))
    assert verdict.code == {100: b"554", 101: b"454"}.get(code, b"")
    assert verdict.failed == b""
    assert verdict.condition == b"Extfork_%d" % code


@pytest.mark.parametrize(
    ("text", "given_codes"),
    [
        ("102=550,103=450", {102: b"550", 103: b"450"}),
        (" 102 = 550 ,, 103=450 , ", {102: b"550", 103: b"450"}),
        ("100=550", {100: b"550"}),
        ("101=421", {101: b"421"}),
        ("255=599,1=400", {255: b"599", 1: b"400"}),
        ("102=550,102=450", {102: b"450"}),
        ("007=550", {7: b"550"}),
    ],
)
def test_more_codes(text: str, given_codes: dict[int, bytes]) -> None:
    made = contract(SMTPEXTFORKCODES=text)
    assert made.codes == {100: b"554", 101: b"454", **given_codes}
    assert made.complaints == []


@pytest.mark.parametrize(
    "pair",
    ["0=550", "000=550", "256=550", "1000=550", "-1=550", "x=550", "=550", "102=", "102", "102=250", "102=354",
     "102=600", "102=55", "102=5500", "102=5x0", "102:550", "102=550=1", "1 2=550", "²=550", "+5=550"],
)  # fmt: skip
def test_a_pair_that_makes_no_sense_is_passed_over_and_told(pair: str) -> None:
    made = contract(SMTPEXTFORKCODES=f"102=550, {pair} ,103=450")
    assert made.codes == {100: b"554", 101: b"454", 102: b"550", 103: b"450"}
    assert made.complaints == [b"SMTPEXTFORKCODES=" + pair.encode("latin-1")]


def test_the_default_codes_are_nobodys_to_change() -> None:
    contract(SMTPEXTFORKCODES="100=450,7=550")
    assert checkers.CODES == {100: b"554", 101: b"454"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5.0), (" 5 ", 5.0), ("0.5", 0.5), ("1.", 1.0), (".5", 0.5), ("999999999", 999999999.0)]
)
def test_the_time_limit(text: str, seconds: float) -> None:
    made = contract(SMTPEXTFORKTIMEOUT=text)
    assert made.seconds == seconds
    assert made.complaints == []


@pytest.mark.parametrize("text", ["", "  "])
def test_no_time_limit_given(text: str) -> None:
    made = contract(SMTPEXTFORKTIMEOUT=text)
    assert (made.seconds, made.complaints) == (60.0, [])
    assert contract().seconds == 60.0


@pytest.mark.parametrize(
    "text", ["0", "0.0", "-1", "x", "5s", "1e3", "inf", "nan", ".", "1.2.3", "9" * 10, "0x10", "1_0", "٣"]
)
def test_a_time_limit_that_makes_no_sense_is_told(text: str) -> None:
    made = Contract({b"SMTPEXTFORKTIMEOUT": text.encode()})
    assert made.seconds == 60.0
    assert made.complaints == [b"SMTPEXTFORKTIMEOUT=" + text.encode()]


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, b""), ("", b""), ("pass", b""), ("defer", b"451"), ("reject", b"554"), (" defer ", b"451")],
)
@pytest.mark.parametrize(
    ("how", "condition"), [(UNSTARTED, b"Extfork_Exec"), (SIGNALLED, b"Extfork_Signal"), (EXPIRED, b"Extfork_Timeout")]
)
def test_a_checker_that_failed(text: str | None, code: bytes, how: str, condition: bytes) -> None:
    made = contract() if text is None else contract(SMTPEXTFORKFAIL=text)
    verdict = judged(made, Outcome(how, 100))
    assert (verdict.code, verdict.failed, verdict.condition) == (code, condition, condition)
    assert made.complaints == []


@pytest.mark.parametrize("text", ["DEFER", "refuse", "451", "pass,defer"])
def test_a_word_for_failures_that_makes_no_sense_is_told(text: str) -> None:
    made = contract(SMTPEXTFORKFAIL=text)
    assert judged(made, Outcome(SIGNALLED, 9)).code == b""
    assert made.complaints == [b"SMTPEXTFORKFAIL=" + text.encode()]


def test_codes_126_and_127_are_codes_like_any_other() -> None:
    made = contract(SMTPEXTFORKFAIL="reject", SMTPEXTFORKCODES="126=450")
    assert judged(made, Outcome(EXITED, 126)).code == b"450"
    assert judged(made, Outcome(EXITED, 127)).code == b""


def test_all_complaints_are_kept() -> None:
    made = contract(SMTPEXTFORKCODES="a,b", SMTPEXTFORKTIMEOUT="c", SMTPEXTFORKFAIL="d")
    assert made.complaints == [
        b"SMTPEXTFORKCODES=a", b"SMTPEXTFORKCODES=b", b"SMTPEXTFORKTIMEOUT=c", b"SMTPEXTFORKFAIL=d",
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "quits"), [(None, False), ("", False), ("1", True), ("0", True), (" ", True)])
def test_quitasap(value: str | None, quits: bool) -> None:
    made = contract() if value is None else contract(XF_QUITASAP=value)
    assert made.quits is quits


@pytest.mark.parametrize(
    ("variables", "code", "reply"),
    [
        ({}, b"554", b"554 sorry, permanent envelope failure due to local policy\r\n"),
        ({}, b"454", b"454 sorry, temporary envelope failure due to local policy\r\n"),
        ({}, b"421", b"421 sorry, temporary envelope failure due to local policy\r\n"),
        ({"_554SMTPEXTFORK": "no"}, b"554", b"554 no\r\n"),
        ({"SMTPEXTFORK554": "no"}, b"554", b"554 no\r\n"),
        ({"_554SMTPEXTFORK": "no", "SMTPEXTFORK554": "never"}, b"554", b"554 no\r\n"),
        ({"_554SMTPEXTFORK": "", "SMTPEXTFORK554": "never"}, b"554", b"554 never\r\n"),
        ({"_554SMTPEXTFORK": "\n", "SMTPEXTFORK554": "never"}, b"554", b"554 never\r\n"),
        ({"_554SMTPEXTFORK": ""}, b"554", b"554 sorry, permanent envelope failure due to local policy\r\n"),
        ({"_554SMTPEXTFORK": "no"}, b"550", b"550 sorry, permanent envelope failure due to local policy\r\n"),
        ({"_554SMTPEXTFORK": "no\n"}, b"554", b"554 no\r\n"),
        ({"_554SMTPEXTFORK": "one\ntwo\n\nfour\n"}, b"554", b"554-one\r\n554-two\r\n554-\r\n554 four\r\n"),
        ({"_554SMTPEXTFORK": "one\r\ntwo\r"}, b"554", b"554-one\r\n554 two\r\n"),
        ({"_554SMTPEXTFORK": " no "}, b"554", b"554  no \r\n"),
        ({"_451SMTPEXTFORK": "wait"}, b"451", b"451 wait\r\n"),
    ],
)
def test_the_words_of_a_refusal(variables: dict[str, str], code: bytes, reply: bytes) -> None:
    assert contract(**variables).reply(code) == reply


@given(st.binary(min_size=1).filter(lambda text: b"\0" not in text))
def test_own_words_are_always_one_whole_reply(text: bytes) -> None:
    lines = Contract({b"554SMTPEXTFORK": text}).reply(b"554").split(b"\r\n")
    assert lines.pop() == b""
    assert all(line.startswith(b"554-") for line in lines[:-1])
    assert lines[-1].startswith(b"554 ")
    assert not any(b"\r" in line or b"\n" in line for line in lines)


def test_what_a_checker_sees() -> None:
    envelope = Envelope()
    envelope.sender, envelope.helo, envelope.recipient = b"", b"foo", b"joe@joedomain.net"
    assert checkers.checker(b"/a").environment(envelope) == {
        b"REMOTEMF": b"",
        b"REMOTEHELO": b"foo",
        b"REMOTERCPT": b"joe@joedomain.net",
    }
