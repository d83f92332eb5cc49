"""The qmail-queue interface: what it reads and what its exit code says (qmail-queue(8), notqmail's qmail.c)."""

from qmailfork.programs.outcome import EXITED, SIGNALLED, UNSTARTED, Outcome

DEFAULT = b"bin/qmail-queue"  # relative to qmail's home
LONGEST_ERROR = 255  # octets of the program's own words that are kept
ENVELOPE_MISSING = 54
OWN_WORDS = 82

_PERMANENT = {
    11: b"envelope address too long for qq (#5.1.3)",
    31: b"mail server permanently rejected message (#5.3.0)",
    115: b"envelope address too long for qq (#5.1.3)",
}
_TEMPORARY = {
    51: b"qq out of memory (#4.3.0)",
    52: b"qq timeout (#4.3.0)",
    53: b"qq write error or disk full (#4.3.0)",
    54: b"qq read error (#4.3.0)",
    55: b"qq unable to read configuration (#4.3.0)",
    56: b"qq trouble making network connection (#4.3.0)",
    61: b"qq trouble in home directory (#4.3.0)",
    71: b"mail server temporarily rejected message (#4.3.0)",
    72: b"connection to mail server timed out (#4.4.1)",
    73: b"connection to mail server rejected (#4.4.1)",
    74: b"communication with mail server failed (#4.4.2)",
    81: b"qq internal bug (#4.3.0)",
    91: b"qq internal bug (#4.3.0)",
    120: b"unable to exec qq (#4.3.0)",
}
_TEMPORARY.update(dict.fromkeys(range(62, 67), b"qq trouble creating files in queue (#4.3.0)"))


def envelope(sender: bytes, recipients: list[bytes]) -> bytes:
    """The envelope as qmail-queue reads it on descriptor 1, with the NUL that completes it."""
    return b"F%b\0T%b\0\0" % (sender, b"\0T".join(recipients))


def refusal(outcome: Outcome, complete: bool) -> bytes:
    """The reply to a message that the queue program did not take; empty where it did.

    `outcome.output` is what the program wrote for exit code 82; `complete` is False where message or envelope did
    not reach it whole: then not even exit code 0 means that it was queued.
    """
    if outcome.how == UNSTARTED:
        return _reply(b"451", _TEMPORARY[120])
    if outcome.how == SIGNALLED:
        return _reply(b"451", b"qq crashed (#4.3.0)")
    if outcome.how != EXITED:
        return _reply(b"451", _TEMPORARY[52])
    code = outcome.code
    if code == 0:
        if complete:
            return b""
        code = ENVELOPE_MISSING
    if code == OWN_WORDS and len(outcome.output) > 2:
        return _own_words(outcome.output[:LONGEST_ERROR])
    if code in _TEMPORARY:
        return _reply(b"451", _TEMPORARY[code])
    if code in _PERMANENT or 11 <= code <= 40:
        return _reply(b"554", _PERMANENT.get(code, b"qq permanent problem (#5.3.0)"))
    return _reply(b"451", b"qq temporary problem (#4.3.0)")


def _own_words(text: bytes) -> bytes:
    """D and text for a permanent refusal, any other first letter for a temporary one; made one plain line."""
    code = b"554" if text.startswith(b"D") else b"451"
    words = bytes(octet if 32 <= octet <= 126 else 32 for octet in text[1:])
    return _reply(code, words.strip())


def _reply(code: bytes, text: bytes) -> bytes:
    return b"%b %b\r\n" % (code, text)
