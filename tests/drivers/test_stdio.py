"""The checker contract through real processes: a test for each row of its table, and for each of its corners."""

import os
import signal
from pathlib import Path

import pytest

from tests.drivers.session import AT_START, HELO, MAIL, PERMANENT, RCPT, TEMPORARY, WHO, rcpt, went
from tests.servers import stdio
from tests.support import QmailHome, alive, recorded, wait_for


@pytest.fixture
def seen(home: QmailHome) -> Path:
    """Where the recording checker writes."""
    return home.path / "seen"


class TestTheTable:
    """One test a row, named after it."""

    def test_when(self, home: QmailHome, seen: Path) -> None:
        """After a RCPT that the rest accepts, once for each recipient."""
        made = went(
            home, HELO, MAIL, "RCPT TO:<x@elsewhere.org>", "RCPT nobody", "NOOP", "RCPT TO:<one@joedomain.net>",
            "RCPT TO:<two@joedomain.net>", SMTPEXTFORK="fakes/tally",
        )  # fmt: skip
        assert [reply[:3] for reply in made.replies] == ["250", "250", "553", "555", "250", "250", "250"]
        assert (home.path / "tally").read_text() == "one@joedomain.net\ntwo@joedomain.net\n"

    @pytest.mark.parametrize(
        ("variables", "reply", "line"),
        [
            ({}, "250 ok", "Accept::RCPT::Rcpthosts_Rcptto"),
            ({"SMTPEXTFORK": ""}, "250 ok", "Accept::RCPT::Rcpthosts_Rcptto"),
            ({"SMTPEXTFORK": "fakes/exit 100"}, f"554 {PERMANENT}", "Reject::RCPT::Extfork_100"),
            ({"SMTPEXTFORKR": "fakes/exit 100"}, "250 ok", "Accept::RCPT::Rcpthosts_Rcptto"),
            ({"SMTPEXTFORK": "fakes/exit 100", "RELAYCLIENT": ""}, "250 ok", "Info::SNDR::Extforkr_Unset"),
            (
                {"SMTPEXTFORK": "fakes/exit 100", "SMTPEXTFORKR": "fakes/exit 101", "RELAYCLIENT": ""},
                f"454 {TEMPORARY}",
                "Reject::RCPT::Extfork_101",
            ),
        ],
    )
    def test_which_list(self, home: QmailHome, variables: dict[str, str], reply: str, line: str) -> None:
        made = rcpt(home, **variables)
        assert made.replies == [reply]
        assert made.log[0].split(" ")[0] == line

    def test_the_list(self, home: QmailHome) -> None:
        """Comma-separated, in order, blanks ignored, with arguments; the first that refuses has the word."""
        made = rcpt(home, SMTPEXTFORK=" fakes/tally a ,\tfakes/tally  b, fakes/exit 0 ,fakes/exit 101, fakes/tally c")
        assert made.replies == [f"454 {TEMPORARY}"]
        assert (home.path / "tally").read_text() == "joe@joedomain.net a\njoe@joedomain.net b\n"

    def test_what_it_sees(self, home: QmailHome, seen: Path) -> None:
        odd = 'RCPT TO:<"joe joe"@joedomain.net>'
        variables = {"554SMTPEXTFORK": "no", "SITE": "a\nb", "RELAYCLIENT": "@fix.me"}
        received = {**home.environment(**variables), "SMTPEXTFORKR": f"fakes/record {seen}"}
        went(home, "EHLO a b", "MAIL FROM:<>", odd, SMTPEXTFORKR=received["SMTPEXTFORKR"], **variables)
        three = {"REMOTEMF": "", "REMOTEHELO": "a b", "REMOTERCPT": "joe joe@joedomain.net"}
        found = dict(variable.split("=", 1) for variable in recorded(seen)["env"])
        assert found == {**received, **three}

    def test_a_value_that_cannot_stand_in_an_environment_never_gets_so_far(self, home: QmailHome) -> None:
        for line in ("RCPT TO:<j\0oe@joedomain.net>", "MAIL FROM:<\0>", "HELO \0"):
            made = went(home, MAIL, line, SMTPEXTFORK="fakes/tally")
            assert made.replies[1] == "555 syntax error (#5.5.4)"
        assert not (home.path / "tally").exists()

    def test_its_descriptors(self, home: QmailHome, seen: Path) -> None:
        made = rcpt(home, SMTPEXTFORK=f"fakes/say 0,fakes/record {seen},fakes/flood 1000000 0")
        assert made.replies == ["250 ok"]
        assert made.log == ["said on descriptor 2", f"Accept::RCPT::Rcpthosts_Rcptto {WHO}"]
        assert sorted(recorded(seen)["fd"]) == ["0", "1", "2"]
        assert recorded(seen)["file0"] == ["/dev/null"]

    @pytest.mark.parametrize("code", [0, 1, 99, 102, 111, 120, 126, 127, 255])
    def test_exit_0_or_any_code_without_a_meaning(self, home: QmailHome, code: int) -> None:
        made = rcpt(home, SMTPEXTFORK=f"fakes/exit {code},fakes/tally")
        assert made.replies == ["250 ok"]
        assert made.log == [f"Accept::RCPT::Rcpthosts_Rcptto {WHO}"]
        assert (home.path / "tally").exists()

    def test_exit_100(self, home: QmailHome) -> None:
        made = rcpt(home, SMTPEXTFORK="fakes/exit 100")
        assert made.replies == [f"554 {PERMANENT}"]
        assert made.log == [f"Reject::RCPT::Extfork_100 {WHO} 'fakes/exit'"]

    def test_exit_101(self, home: QmailHome) -> None:
        made = rcpt(home, SMTPEXTFORK="fakes/exit 101")
        assert made.replies == [f"454 {TEMPORARY}"]
        assert made.log == [f"Reject::RCPT::Extfork_101 {WHO} 'fakes/exit'"]

    @pytest.mark.parametrize(
        ("code", "reply"), [(102, f"550 {PERMANENT}"), (103, f"450 {TEMPORARY}"), (111, f"451 {TEMPORARY}")]
    )
    def test_other_codes(self, home: QmailHome, code: int, reply: str) -> None:
        made = rcpt(home, SMTPEXTFORK=f"fakes/exit {code}", SMTPEXTFORKCODES="102=550,103=450,111=451")
        assert made.replies == [reply]
        assert made.log == [f"Reject::RCPT::Extfork_{code} {WHO} 'fakes/exit'"]

    @pytest.mark.parametrize("name", ["554SMTPEXTFORK", "SMTPEXTFORK554"])
    @pytest.mark.parametrize(
        ("text", "replies"), [("your message", ["554 your message"]), ("one\ntwo", ["554-one", "554 two"])]
    )
    def test_own_words(self, home: QmailHome, name: str, text: str, replies: list[str]) -> None:
        assert rcpt(home, SMTPEXTFORK="fakes/exit 100", **{name: text}).replies == replies

    def test_after_a_refusal(self, home: QmailHome) -> None:
        """The recipient is not in the envelope, the session goes on."""
        more = ["RCPT TO:<ann@joedomain.net>", "DATA", "x", ".", "QUIT"]
        made = rcpt(home, *more, SMTPEXTFORK="fakes/match joe@joedomain.net 100")
        assert [reply[:3] for reply in made.replies] == ["554", "250", "354", "250", "221"]
        assert [message.recipients for message in home.messages()] == [(b"ann@joedomain.net",)]

    @pytest.mark.parametrize(("value", "replies"), [("1", 1), ("", 2)])
    def test_after_a_refusal_with_xf_quitasap(self, home: QmailHome, value: str, replies: int) -> None:
        """Set and not empty: the reply, and the connection is closed."""
        made = rcpt(home, "NOOP", SMTPEXTFORK="fakes/exit 101", XF_QUITASAP=value)
        assert made.replies == [f"454 {TEMPORARY}", "250 ok"][:replies]
        assert made.status == (0 if value else 1)

    @pytest.mark.parametrize(
        ("fail", "reply"),
        [({}, "250 ok"), ({"SMTPEXTFORKFAIL": "pass"}, "250 ok"),
         ({"SMTPEXTFORKFAIL": "defer"}, f"451 {TEMPORARY}"), ({"SMTPEXTFORKFAIL": "reject"}, f"554 {PERMANENT}")],
    )  # fmt: skip
    @pytest.mark.parametrize(
        ("entry", "word"), [("fakes/none", "Exec"), ("fakes/die KILL", "Signal"), ("fakes/hang pid", "Timeout")]
    )
    def test_could_not_be_started_killed_by_a_signal_out_of_time(
        self, home: QmailHome, fail: dict[str, str], reply: str, entry: str, word: str
    ) -> None:
        made = rcpt(home, SMTPEXTFORK=entry, SMTPEXTFORKTIMEOUT="0.3", **fail)
        assert made.replies == [reply]
        program = entry.split(maxsplit=1)[0]
        last = f"Reject::RCPT::Extfork_{word} {WHO} '{program}'"
        accepted = f"Accept::RCPT::Rcpthosts_Rcptto {WHO}"
        assert made.log == [
            f"Error::RCPT::Extfork_{word} {WHO} '{program}'",
            accepted if reply == "250 ok" else last,
        ]

    def test_at_the_end_of_the_time_limit_the_whole_group_is_killed(self, home: QmailHome) -> None:
        rcpt(home, SMTPEXTFORK="fakes/stubborn pids", SMTPEXTFORKTIMEOUT="1")
        for pid in (home.path / "pids").read_text().split():
            wait_for(lambda pid=pid: not alive(int(pid)), what="the group's end")  # type: ignore[misc]


class TestTheCorners:
    """One test for each of «The corners, settled», in their order."""

    def test_qmailhome_is_the_working_directory_and_nothing_is_looked_up_in_path(
        self, home: QmailHome, seen: Path
    ) -> None:
        made = rcpt(home, SMTPEXTFORK=f"fakes/record {seen},true", PATH=f"{home.fakes}:/bin:/usr/bin")
        assert recorded(seen)["cwd"] == [str(home.path)]
        assert made.replies == ["250 ok"]
        assert made.log[0] == f"Error::RCPT::Extfork_Exec {WHO} 'true'"

    def test_empty_entries_are_skipped(self, home: QmailHome) -> None:
        assert rcpt(home, SMTPEXTFORK=",,fakes/exit 0, ,fakes/exit 101,,").replies == [f"454 {TEMPORARY}"]

    def test_an_empty_relay_list_is_a_choice(self, home: QmailHome) -> None:
        made = rcpt(home, SMTPEXTFORK="fakes/exit 100", SMTPEXTFORKR="", RELAYCLIENT="")
        assert made.log == [f"Accept::SNDR::Relay_Client {WHO}"]

    def test_a_forgotten_one_is_told_when_the_session_starts(self, home: QmailHome) -> None:
        made = went(home, SMTPEXTFORK="fakes/exit 100", RELAYCLIENT="")
        assert made.log == [f"Info::SNDR::Extforkr_Unset {AT_START}"]

    def test_before_any_helo_signals_and_descriptors(self, home: QmailHome, seen: Path) -> None:
        went(home, MAIL, RCPT, SMTPEXTFORK=f"fakes/record {seen}")
        found = recorded(seen)
        assert "REMOTEHELO=" in found["env"]
        assert "ignored" not in found
        assert "blocked" not in found
        assert sorted(found["fd"]) == ["0", "1", "2"]

    def test_a_checker_has_ended_when_its_own_process_has(self, home: QmailHome) -> None:
        """A child that it left behind, holding its output open, delays nobody and is let live."""
        with stdio(home, home.environment(SMTPEXTFORK="fakes/leave pid 101")) as talk:
            talk.client.send(b"".join(line.encode() + b"\r\n" for line in (MAIL, RCPT, "QUIT")))
            assert talk.client.rest().split(b"\r\n")[2] == f"454 {TEMPORARY}".encode()
            assert talk.status() == 0
        left = int((home.path / "pid").read_text())
        assert alive(left)
        os.kill(left, signal.SIGKILL)

    @pytest.mark.parametrize("code", [126, 127])
    def test_only_a_failed_exec_counts_as_could_not_be_started(self, home: QmailHome, code: int) -> None:
        made = rcpt(home, SMTPEXTFORK=f"fakes/exit {code}", SMTPEXTFORKFAIL="reject")
        assert made.replies == ["250 ok"]

    def test_a_refusal_through_smtpextforkfail_is_one_like_others(self, home: QmailHome) -> None:
        made = rcpt(
            home, "NOOP", SMTPEXTFORK="fakes/none", SMTPEXTFORKFAIL="defer", SMTPEXTFORK451="later", XF_QUITASAP="1"
        )
        assert made.replies == ["451 later"]
        assert [line.split(" ")[0] for line in made.log] == ["Error::RCPT::Extfork_Exec", "Reject::RCPT::Extfork_Exec"]

    @pytest.mark.parametrize(
        ("digit", "twin", "reply"),
        [
            ("mine", "its twin", "554 mine"),
            ("", "its twin", "554 its twin"),
            ("", "", f"554 {PERMANENT}"),
            ("mine\n", "", "554 mine"),
        ],
    )
    def test_own_words_which_of_them(self, home: QmailHome, digit: str, twin: str, reply: str) -> None:
        words = {"554SMTPEXTFORK": digit, "SMTPEXTFORK554": twin}
        assert rcpt(home, SMTPEXTFORK="fakes/exit 100", **words).replies == [reply]

    def test_codes_may_give_100_and_101_another_meaning_but_0_never(self, home: QmailHome) -> None:
        codes = "100=450,101=550,0=550"
        assert rcpt(home, SMTPEXTFORK="fakes/exit 100", SMTPEXTFORKCODES=codes).replies == [f"450 {TEMPORARY}"]
        assert rcpt(home, SMTPEXTFORK="fakes/exit 101", SMTPEXTFORKCODES=codes).replies == [f"550 {PERMANENT}"]
        made = rcpt(home, SMTPEXTFORK="fakes/exit 0", SMTPEXTFORKCODES=codes)
        assert made.replies == ["250 ok"]
        assert made.log[0] == f"Error::SNDR::Extfork_Config {AT_START} 'SMTPEXTFORKCODES=0=550'"

    def test_421_closes_the_connection(self, home: QmailHome) -> None:
        made = rcpt(home, "NOOP", SMTPEXTFORK="fakes/exit 7", SMTPEXTFORKCODES="7=421")
        assert (made.replies, made.status) == ([f"421 {TEMPORARY}"], 0)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("SMTPEXTFORKCODES", "7=250"), ("SMTPEXTFORKTIMEOUT", "soon"), ("SMTPEXTFORKFAIL", "perhaps")],
    )
    def test_what_makes_no_sense_is_passed_over_with_one_line(self, home: QmailHome, name: str, value: str) -> None:
        made = rcpt(home, SMTPEXTFORK="fakes/exit 7", **{name: value})
        assert made.replies == ["250 ok"]
        assert made.log[0] == f"Error::SNDR::Extfork_Config {AT_START} '{name}={value}'"
        assert len(made.log) == 2

    def test_no_client_forges_a_field_or_a_line(self, home: QmailHome) -> None:
        recipient = "it's\ta 'x' T:y\x1b[2J\x7f" + "z" * 300
        made = went(
            home, "HELO a F:b", MAIL, f"RCPT TO:<{recipient}>", SMTPEXTFORKR="fakes/exit 100", RELAYCLIENT="@fix.me"
        )
        cleaned = ("it?s?a??x??T:y?[2J?" + "z" * 300)[:255] + "..."
        assert made.log == [
            f"Reject::RCPT::Extfork_100 P:ESMTP S:203.0.113.7:unknown H:a?F:b F:a@example.net T:{cleaned} 'fakes/exit'"
        ]

    def test_the_suffix_is_in_the_log(self, home: QmailHome) -> None:
        made = rcpt(home, SMTPEXTFORKR="fakes/exit 100", RELAYCLIENT="@fix.me")
        assert made.log == [f"Reject::RCPT::Extfork_100 {WHO}@fix.me 'fakes/exit'"]

    @pytest.mark.parametrize(("fail", "code"), [("pass", "250"), ("defer", "451")])
    def test_a_checker_that_a_client_can_crash(self, home: QmailHome, fail: str, code: str) -> None:
        """README's example copies an address into 254 octets: the reason to advise `defer`."""
        recipient = f"RCPT TO:<{'j' * 800}@joedomain.net>"
        made = went(home, MAIL, recipient, SMTPEXTFORK="fakes/overflow", SMTPEXTFORKFAIL=fail)
        assert made.replies[1][:3] == code
        assert made.log[0].startswith("Error::RCPT::Extfork_Signal ")
