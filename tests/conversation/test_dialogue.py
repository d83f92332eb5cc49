"""The table of states and verbs, and the conversation that follows it (conversation/dialogue.py)."""

import pytest

from qmailfork.conversation.dialogue import STEPS
from qmailfork.conversation.session import CHUNKS, FRESH, READY, SENDER
from qmailfork.programs.outcome import EXITED, Outcome
from qmailfork.smtp import commands
from tests.conversation.scripted import GREETING, HELO, MAIL, OK, QUEUED, RCPT, Script, play, replies, site

STATES = {FRESH: b"", SENDER: MAIL, READY: MAIL + RCPT, CHUNKS: MAIL + RCPT + b"BDAT 3\r\nabc"}
BODY = b"Subject: x\r\n\r\nhello\r\n.\r\n"
# the state before, what is said there, the code that answers it, the state after
TABLE = [
    (FRESH, b"HELO foo", b"250", FRESH),
    (FRESH, b"EHLO foo", b"250", FRESH),
    (FRESH, b"MAIL FROM:<x@example.net>", b"250", SENDER),
    (FRESH, b"RCPT TO:<joe@joedomain.net>", b"503", FRESH),
    (FRESH, b"DATA", b"503", FRESH),
    (FRESH, b"RSET", b"250", FRESH),
    (FRESH, b"NOOP", b"250", FRESH),
    (FRESH, b"VRFY joe", b"252", FRESH),
    (FRESH, b"HELP", b"214", FRESH),
    (FRESH, b"STARTTLS", b"502", FRESH),
    (FRESH, b"AUTH PLAIN AGpvZQBzZWNyZXQ=", b"502", FRESH),
    (FRESH, b"MAIL nobody", b"555", FRESH),
    (SENDER, b"HELO foo", b"250", FRESH),
    (SENDER, b"EHLO foo", b"250", FRESH),
    (SENDER, b"MAIL FROM:<x@example.net>", b"250", SENDER),
    (SENDER, b"RCPT TO:<joe@joedomain.net>", b"250", READY),
    (SENDER, b"DATA", b"503", SENDER),
    (SENDER, b"RSET", b"250", FRESH),
    (SENDER, b"NOOP", b"250", SENDER),
    (SENDER, b"VRFY joe", b"252", SENDER),
    (SENDER, b"HELP", b"214", SENDER),
    (SENDER, b"STARTTLS", b"502", SENDER),
    (SENDER, b"AUTH PLAIN AGpvZQBzZWNyZXQ=", b"502", SENDER),
    (SENDER, b"MAIL nobody", b"555", SENDER),
    (SENDER, b"RCPT TO:<joe@elsewhere.org>", b"553", SENDER),
    (SENDER, b"RCPT nobody", b"555", SENDER),
    (READY, b"HELO foo", b"250", FRESH),
    (READY, b"EHLO foo", b"250", FRESH),
    (READY, b"MAIL FROM:<x@example.net>", b"250", SENDER),
    (READY, b"RCPT TO:<ann@joedomain.net>", b"250", READY),
    (READY, b"DATA", b"354", FRESH),
    (READY, b"RSET", b"250", FRESH),
    (READY, b"NOOP", b"250", READY),
    (READY, b"VRFY joe", b"252", READY),
    (READY, b"HELP", b"214", READY),
    (READY, b"STARTTLS", b"502", READY),
    (READY, b"AUTH PLAIN AGpvZQBzZWNyZXQ=", b"502", READY),
    (READY, b"MAIL nobody", b"555", READY),
    (READY, b"RCPT TO:<joe@elsewhere.org>", b"553", READY),
    (READY, b"RCPT nobody", b"555", READY),
]
TABLE += [(state, b"BDAT 0", b"503", state) for state in (FRESH, SENDER)]
TABLE += [
    (READY, b"BDAT 0", b"250", CHUNKS),
    (CHUNKS, b"BDAT 0", b"250", CHUNKS),
    (CHUNKS, b"BDAT 0 LAST", b"250", FRESH),
]
TABLE += [(CHUNKS, line, b"250", FRESH) for line in (b"HELO foo", b"EHLO foo", b"RSET")]
TABLE += [
    (CHUNKS, b"MAIL FROM:<x@example.net>", b"503", CHUNKS),
    (CHUNKS, b"RCPT TO:<joe@joedomain.net>", b"503", CHUNKS),
    (CHUNKS, b"DATA", b"503", CHUNKS),
    (CHUNKS, b"NOOP", b"250", CHUNKS),
    (CHUNKS, b"VRFY joe", b"252", CHUNKS),
    (CHUNKS, b"HELP", b"214", CHUNKS),
    (CHUNKS, b"STARTTLS", b"503", CHUNKS),
    (CHUNKS, b"AUTH PLAIN x", b"502", CHUNKS),
]
SITE = site(extensions=frozenset([b"chunking"]))
UNDER_WAY = b"503 BDAT is under way (#5.5.1)"
PROBES = {
    CHUNKS: [UNDER_WAY] * 2,
    FRESH: [b"503 MAIL first (#5.5.1)"] * 2,
    SENDER: [b"503 RCPT first (#5.5.1)", b"250 ok"],
}


def state_after(state: str, line: bytes) -> tuple[bytes, str]:
    """The code that `line` is answered with in `state`, and the state that the session is in then."""
    body = BODY if (state, line) == (READY, b"DATA") else b""
    before = STATES[state] + line + b"\r\n" + body
    code = replies(play([before], SITE))[STATES[state].count(b"\n")][:3]
    probed = replies(play([before + b"DATA\r\n.\r\nRCPT TO:<joe@joedomain.net>\r\n"], SITE))
    if probed[-2:-1] == [b"502 unimplemented (#5.5.1)"]:  # the dot, where DATA was refused
        del probed[-2]
    found = next((name for name, probe in PROBES.items() if probed[-2:] == probe), READY)
    return code, found


def test_the_table_is_total() -> None:
    assert set(STEPS) == set(STATES)
    for steps in STEPS.values():
        assert set(steps) == set(commands.VERBS)


def test_every_entry_is_a_state_or_a_refusal() -> None:
    for steps in STEPS.values():
        for step in steps.values():
            assert step in STATES if isinstance(step, str) else step.startswith(b"5")


def test_every_state_and_verb_is_told_here() -> None:
    told = {(state, commands.split(line)[0]) for state, line, _, _ in TABLE}
    assert told >= {(state, verb) for state in STATES for verb in commands.VERBS if verb != b"quit"}


@pytest.mark.parametrize(
    ("state", "line", "code", "after"), TABLE, ids=[f"{row[0]}-{row[1].decode()}" for row in TABLE]
)
def test_step(state: str, line: bytes, code: bytes, after: str) -> None:
    assert state_after(state, line) == (code, after)


@pytest.mark.parametrize("state", STATES)
def test_quit_ends_every_state(state: str) -> None:
    played = play([STATES[state] + b"QUIT\r\nNOOP\r\n"], SITE)
    assert replies(played)[-1] == b"221 mail.joedomain.net"
    assert played.ending.status == 0
    assert played.exchanges == [GREETING]  # the farewell goes with what is still owed, and nothing after it is read


def test_the_greeting_comes_first() -> None:
    assert play([]).exchanges == [GREETING]


def test_ehlo_names_what_there_is() -> None:
    said = [b"250-mail.joedomain.net", b"250-PIPELINING", b"250-SIZE 1000", b"250 8BITMIME"]
    assert replies(play([b"EHLO foo\r\n"], site(databytes=1000))) == said


def test_a_refused_mail_changes_nothing() -> None:
    played = play([MAIL + RCPT + b"MAIL FROM:<@bad>\r\nDATA\r\n" + BODY])
    assert played.queued[0][1] == b"Fa@example.net\0Tjoe@joedomain.net\0\0"


def test_a_second_mail_takes_the_recipients_away() -> None:
    played = play([MAIL + RCPT + b"MAIL FROM:<b@example.net>\r\nDATA\r\n"])
    assert replies(played)[-1] == b"503 RCPT first (#5.5.1)"


def test_after_data_a_new_mail_is_asked_for() -> None:
    played = play([MAIL + RCPT + b"DATA\r\n" + BODY + RCPT + MAIL + b"DATA\r\n"])
    assert replies(played)[-3:] == [b"503 MAIL first (#5.5.1)", b"250 ok", b"503 RCPT first (#5.5.1)"]


def test_so_it_is_after_a_data_that_could_not_begin() -> None:
    played = play([MAIL + RCPT + b"DATA\r\nDATA\r\n"], script=Script(opened=b"no room"))
    assert replies(played)[-2:] == [b"451 qqt failure (#4.3.0)", b"503 MAIL first (#5.5.1)"]
    assert played.conditions[-1] == b"Error::DATA::Queue_Exec"


def test_two_messages_in_one_session() -> None:
    one = MAIL + RCPT + b"DATA\r\n" + BODY
    played = play([one, one + b"QUIT\r\n"])
    assert len(played.queued) == 2
    assert played.queued[0] == played.queued[1]


class TestOverlong:
    LIMIT = commands.LONGEST

    def said(self, *arrivals: bytes) -> list[bytes]:
        return replies(play(arrivals))

    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    def test_the_longest_line_there_may_be(self, end: bytes) -> None:
        line = b"NOOP " + b"x" * (self.LIMIT - 5 - len(end) + 1)
        assert self.said(line + end) == [b"250 ok"]

    @pytest.mark.parametrize("octets", [LIMIT + 1, 65536, 400000])
    def test_a_longer_one_is_refused_and_what_follows_is_read(self, octets: int) -> None:
        line = b"x" * octets + b"\r\nNOOP\r\n"
        assert self.said(line) == [b"500 line too long (#5.5.2)", b"250 ok"]
        assert self.said(*(line[at : at + 1000] for at in range(0, len(line), 1000))) == self.said(line)

    def test_it_changes_no_state(self) -> None:
        assert self.said(MAIL + b"x" * 20000 + b"\r\n" + RCPT)[-1] == b"250 ok"

    def test_what_is_owed_is_sent_before_the_line_ends(self) -> None:
        played = play([b"NOOP\r\n" + b"x" * 20000, b"x"])
        assert list(filter(None, played.exchanges)) == [GREETING, OK]

    def test_a_client_that_goes_or_waits_in_one(self) -> None:
        assert play([b"x" * 20000]).ending.status == 1
        assert play([b"x" * 20000, None]).said.endswith(b"451 timeout (#4.4.2)\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"\0",
        b"NOOP\0",
        b"QUIT\0",
        b"\0QUIT",
        b"MAIL FROM:<a\0b@example.net>",
        b"HELO a\0b",
        b"RCPT TO:<joe@joedomain.net>\0",
    ],
)
def test_a_nul_anywhere_is_a_syntax_error(line: bytes) -> None:
    played = play([MAIL + line + b"\r\nDATA\r\n"])
    assert replies(played)[1:] == [b"555 syntax error (#5.5.4)", b"503 RCPT first (#5.5.1)"]


@pytest.mark.parametrize("arrivals", [[], [HELO], [HELO + MAIL], [MAIL, RCPT], [b"NOO"]])
def test_a_client_that_waits_too_long(arrivals: list[bytes]) -> None:
    played = play([*arrivals, None])
    assert (played.ending.reply, played.ending.status) == (b"451 timeout (#4.4.2)\r\n", 1)
    assert played.waited == {1200}


def test_an_unfinished_last_line_is_dropped() -> None:
    played = play([b"NOOP\r\nQUIT"])
    assert replies(played) == [b"250 ok"]
    assert played.ending.status == 1


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"NOOP\n", b"250 ok"),
        (b"NOOP\r\r\n", b"502 unimplemented (#5.5.1)"),
        (b"\n", b"502 unimplemented (#5.5.1)"),
        (b"\r\n", b"502 unimplemented (#5.5.1)"),
        (b"\xff\xfe\r\n", b"502 unimplemented (#5.5.1)"),
        (b"noop whatever\r\n", b"250 ok"),
    ],
)
def test_odd_lines(line: bytes, reply: bytes) -> None:
    assert replies(play([line])) == [reply]


@pytest.mark.parametrize(
    ("parameters", "reply"),
    [
        (b" SIZE=1000", b"250 ok"),
        (b" SIZE=1001", b"552 sorry, that message size exceeds my databytes limit (#5.3.4)"),
        (b" size=99999999999999999999", b"552 sorry, that message size exceeds my databytes limit (#5.3.4)"),
        (b" SIZE=" + b"9" * 21, b"555 syntax error (#5.5.4)"),
        (b" SIZE=", b"555 syntax error (#5.5.4)"),
        (b" SIZE=-1", b"555 syntax error (#5.5.4)"),
        (b" SIZE=1k", b"555 syntax error (#5.5.4)"),
        (b" BODY=8BITMIME", b"250 ok"),
        (b" WHATEVER", b"250 ok"),
    ],
)
def test_parameters_of_mail(parameters: bytes, reply: bytes) -> None:
    played = play([b"MAIL FROM:<a@example.net>" + parameters + b"\r\n"], site(databytes=1000))
    assert replies(played) == [reply]
    assert (played.conditions == [b"Reject::DATA::Invalid_Size"]) == reply.startswith(b"552")


def test_without_a_limit_every_size_will_do() -> None:
    assert replies(play([b"MAIL FROM:<a@example.net> SIZE=99999999999999999999\r\n"])) == [b"250 ok"]


def test_the_session_begins_with_what_there_is_to_say() -> None:
    variables = {b"SMTPEXTFORK": b"/a", b"SMTPEXTFORKFAIL": b"what?", b"SMTPEXTFORKTIMEOUT": b"x"}
    played = play([HELO], site({**variables, b"RELAYCLIENT": b""}, relay_suffix=b""))
    assert played.conditions == [b"Error::SNDR::Extfork_Config"] * 2 + [b"Info::SNDR::Extforkr_Unset"]
    assert {(event.ip, event.host, event.helo, event.protocol) for event in played.notes} == {
        (b"203.0.113.7", b"unknown", b"", b"ESMTP")
    }


def test_a_cdb_that_cannot_be_read_ends_the_session() -> None:
    from qmailfork.conversation.settings import ControlFault  # noqa: PLC0415

    def unreadable(name: bytes) -> bool:
        raise ControlFault("control/morercpthosts.cdb: damaged")

    played = play([MAIL + b"RCPT TO:<b@elsewhere.org>\r\nNOOP\r\n"], site(more_rcpthosts=unreadable))
    assert replies(played) == [b"250 ok", b"421 unable to read controls (#4.3.0)"]
    assert played.ending.status == 1
    assert played.notes[-1].info == b"control/morercpthosts.cdb: damaged"


class TestWhatAVerboseLogSays:
    CONVERSATION = (
        b"HELO foo\r\nNOOP\r\nVRFY x\r\nHELP\r\nRSET\r\nDATA\r\nFOO bar\r\n"
        + MAIL
        + b"DATA\r\n"
        + RCPT
        + b"DATA\r\n"
        + BODY
        + b"QUIT\r\n"
    )

    def words(self, loglevel: int) -> list[bytes]:
        return [event.words for event in play([self.CONVERSATION], site(loglevel=loglevel)).notes]

    def test_everything(self) -> None:
        assert self.words(4) == [
            b"connection from 203.0.113.7 (unknown) to mail.joedomain.net", b"remote helo: foo", b"'noop'",
            b"vrfy for: x", b"help requested", b"remote rset", b"'mail from' first", b"unrecognized command: FOO?bar",
            b"mail from: a@example.net", b"'rcpt to' first", b"rcpt to: joe@joedomain.net", b"go ahead",
            b"message queued: 1732413099 qp 4713 size 18 bytes", b"quit, closing connection",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("loglevel", "count", "more"),
        [(1, 2, b"rcpt to"), (2, 4, b"connection from"), (2, 4, b"mail from"), (3, 5, b"unrecognized command: FOO")],
    )
    def test_what_its_level_asks_for(self, loglevel: int, count: int, more: bytes) -> None:
        words = self.words(loglevel)
        assert len(words) == count
        assert [word.startswith(more) for word in words].count(True) == 1

    def test_nothing_that_is_not_asked_for(self) -> None:
        steps = {b"rcpt to: joe@joedomain.net", b"message queued: 1732413099 qp 4713 size 18 bytes"}
        assert set(self.words(0)) == steps

    def test_a_client_that_goes(self) -> None:
        assert play([], site(loglevel=1)).notes[-1].words == b"read error or connection closed"
        assert play([None], site(loglevel=1)).notes[-1].words == b"connection timed out, closing connection"


def test_a_queue_that_does_not_take_it_leaves_the_session_open() -> None:
    script = Script(finished=(Outcome(EXITED, 53), True))
    played = play([MAIL + RCPT + b"DATA\r\n" + BODY + b"NOOP\r\n"], script=script)
    assert replies(played)[-2:] == [b"451 qq write error or disk full (#4.3.0)", b"250 ok"]
    assert QUEUED not in played.said
