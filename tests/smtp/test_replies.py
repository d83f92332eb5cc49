"""Every sentence that the server says (smtp/replies.py), octet by octet."""

import re

import pytest

from qmailfork.smtp import replies

SENTENCES = {
    "OK": b"250 ok",
    "FLUSHED": b"250 flushed",
    "VERIFY": b"252 send some mail, i'll try my best",
    "HELP": b"214 qmailfork: a qmail-smtpd that forks your checkers; see qmailfork-smtpd(8)",
    "GO_AHEAD": b"354 go ahead",
    "TLS_GO_AHEAD": b"220 ready for TLS",
    "TLS_NOT_READY": b"454 TLS not available (#4.7.0)",
    "NO_PARAMETERS": b"501 no parameters allowed (#5.5.4)",
    "TLS_ACTIVE": b"503 TLS is active already (#5.5.1)",
    "AUTH_ACCEPTED": b"235 ok, go ahead (#2.7.0)",
    "AUTH_TROUBLE": b"454 oops, unable to check that now (#4.7.0)",
    "AUTH_CANCELLED": b"501 auth exchange cancelled (#5.7.0)",
    "MALFORMED_AUTH": b"501 malformed auth input (#5.5.2)",
    "NO_MECHANISM": b"501 auth by what? (#5.5.4)",
    "AUTHENTICATED": b"503 you're already authenticated (#5.5.1)",
    "AUTH_IN_MAIL": b"503 no auth during mail transaction (#5.5.1)",
    "UNKNOWN_MECHANISM": b"504 auth type unimplemented (#5.5.4)",
    "AUTH_REQUIRED": b"530 authentication required (#5.7.0)",
    "AUTH_FAILED": b"535 authentication failed (#5.7.8)",
    "AUTH_IN_PLAIN": b"538 encryption required, STARTTLS first (#5.7.11)",
    "TLS_REQUIRED": b"535 STARTTLS required (#5.7.1)",
    "TOO_MANY": b"421 too many connections from your address (#4.7.0)",
    "NO_CONTROLS": b"421 unable to read controls (#4.3.0)",
    "CHILD_LOST": b"421 unable to speak with the mail server behind (#4.3.0)",
    "TOO_MANY_RECIPIENTS": b"452 sorry, too many recipients (#4.5.3)",
    "NO_MAILBOX_YET": b"450 sorry, mailbox currently unavailable (#4.2.1)",
    "NO_MAILBOX": b"550 sorry, no mailbox by that name (#5.7.1)",
    "BAD_NAME": b"550 sorry, invalid HELO/EHLO greeting (#5.7.1)",
    "BAD_RECIPIENT": b"553 sorry, your envelope recipient is in my badrcptto list (#5.7.1)",
    "NOT_OWN_SENDER": b"553 sorry, invalid sender address specified (#5.7.1)",
    "EARLY": b"554 sorry, you spoke before my greeting (#5.5.1)",
    "DNS_LATER": b"451 DNS temporary failure (#4.3.0)",
    "NO_SUCH_SENDER": b"553 sorry, your envelope sender must exist (#5.7.1)",
    "MAILBOX_LATER": b"451 unable to check recipients (#4.3.0)",
    "TIMEOUT": b"451 timeout (#4.4.2)",
    "STRAY_NEWLINE": b"451 See https://cr.yp.to/docs/smtplf.html.",
    "NO_QUEUE": b"451 qqt failure (#4.3.0)",
    "TOO_LONG": b"500 line too long (#5.5.2)",
    "UNIMPLEMENTED": b"502 unimplemented (#5.5.1)",
    "MAIL_FIRST": b"503 MAIL first (#5.5.1)",
    "RCPT_FIRST": b"503 RCPT first (#5.5.1)",
    "TOO_BIG": b"552 sorry, that message size exceeds my databytes limit (#5.3.4)",
    "BAD_SENDER": b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)",
    "NO_COUNT": b"501 syntax error in BDAT, closing connection (#5.5.4)",
    "IN_CHUNKS": b"503 BDAT is under way (#5.5.1)",
    "NO_REQUIRETLS": b"555 sorry, REQUIRETLS is not offered here (#5.5.4)",
    "ASCII_ONLY": b"553 sorry, an address beyond ASCII needs SMTPUTF8 (#5.6.7)",
    "BAD_PARAMETER": b"501 syntax error in parameters (#5.5.4)",
    "NO_GATEWAY": b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "LOOPING": b"554 too many hops, this message is looping (#5.4.6)",
    "SYNTAX": b"555 syntax error (#5.5.4)",
}
CONSTANTS = {name for name, value in vars(replies).items() if name[0].isupper() and type(value) is bytes}


@pytest.mark.parametrize(("name", "sentence"), SENTENCES.items())
def test_sentence(name: str, sentence: bytes) -> None:
    assert getattr(replies, name) == sentence + b"\r\n"


def test_no_sentence_is_left_out() -> None:
    assert set(SENTENCES) == CONSTANTS


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_a_sentence_is_one_line_with_a_code(name: str) -> None:
    assert re.fullmatch(rb"[2-5][0-9][0-9] [\x20-\x7e]+\r\n", getattr(replies, name))


def test_those_with_something_in_them() -> None:
    assert replies.greeting(b"mail.joedomain.net") == b"220 mail.joedomain.net ESMTP\r\n"
    assert replies.hello(b"mail.joedomain.net") == b"250 mail.joedomain.net\r\n"
    assert replies.closing(b"mail.joedomain.net") == b"221 mail.joedomain.net\r\n"
    assert replies.queued(1732413099, 4713) == b"250 ok 1732413099 qp 4713\r\n"


def test_extended_hello() -> None:
    assert replies.extended_hello(b"me", (b"PIPELINING", b"SIZE 0", b"8BITMIME")) == (
        b"250-me\r\n250-PIPELINING\r\n250-SIZE 0\r\n250 8BITMIME\r\n"
    )
    assert replies.extended_hello(b"me", ()) == b"250 me\r\n"


@pytest.mark.parametrize(
    ("code", "kind"), [(b"454", b"temporary"), (b"421", b"temporary"), (b"554", b"permanent"), (b"550", b"permanent")]
)
def test_local_policy(code: bytes, kind: bytes) -> None:
    assert replies.local_policy(code) == b"sorry, " + kind + b" envelope failure due to local policy"


def test_lines() -> None:
    assert replies.lines(b"554", (b"one",)) == b"554 one\r\n"
    assert replies.lines(b"554", (b"one", b"", b"three")) == b"554-one\r\n554-\r\n554 three\r\n"


@pytest.mark.parametrize(("code", "positive"), [(b"250", True), (b"354", True), (b"421", False), (b"554", False)])
def test_is_positive(code: bytes, positive: bool) -> None:
    assert replies.is_positive(code + b" x\r\n") is positive


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"550 no\tmail\xff ", (b"550", b"no mail?")),
        (b"450-later", (b"450", b"later")),
        (b"400", (b"400", b"")),
        (b"599 " + b"x" * 500, (b"599", b"x" * replies.LONGEST_TEXT)),
        (b"250 ok", None),
        (b"354 go", None),
        (b"55", None),
        (b"55x no", None),
        (b"5501 no", None),
        (b"550no", None),
    ],
)
def test_refusal(line: bytes, found: tuple[bytes, bytes] | None) -> None:
    assert replies.refusal(line) == found


def test_with_text() -> None:
    assert replies.with_text(b"553 sorry (#5.7.1)\r\n", b"call\r us") == b"553 sorry call? us (#5.7.1)\r\n"
