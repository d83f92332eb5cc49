"""Sessions with qmailfork-smtpd as a process, for the tests of the stdio driver."""

import re
from dataclasses import dataclass

from tests.support import QmailHome, run_session, smtpd

HELO, MAIL, RCPT = "HELO foo", "MAIL FROM:<a@example.net>", "RCPT TO:<joe@joedomain.net>"
WHO = "P:ESMTP S:203.0.113.7:unknown H:foo F:a@example.net T:joe@joedomain.net"
AT_START = "P:ESMTP S:203.0.113.7:unknown H:"
PERMANENT = "sorry, permanent envelope failure due to local policy"
TEMPORARY = "sorry, temporary envelope failure due to local policy"


@dataclass(frozen=True)
class Went:
    """How a session went: the lines said after the greeting, the log without its prefix, the exit status."""

    replies: list[str]
    log: list[str]
    status: int


def went(home: QmailHome, *lines: str, **environment: str | None) -> Went:
    """A session in which the client says these lines and has then nothing more to say."""
    text = "".join(line + "\r\n" for line in lines).encode("utf-8", "surrogateescape")
    done = run_session(smtpd(), home.environment(**environment), text)
    log = [re.sub(r"^qmail-smtpd: pid \d+ ", "", line) for line in done.log]
    return Went(done.output.decode("utf-8", "surrogateescape").split("\r\n")[1:-1], log, done.status)


def rcpt(home: QmailHome, *more: str, **environment: str | None) -> Went:
    """What became of one recipient, and of what was said after it: `replies` begins with RCPT's own."""
    made = went(home, HELO, MAIL, RCPT, *more, **environment)
    return Went(made.replies[2:], made.log, made.status)
