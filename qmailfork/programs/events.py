"""Each event that is worth a line, one constructor each.

Those that spamcontrol knows have its condition and shape; those that only qmail-ldap knows are UNSAID in the former's
style; where neither had a word, the condition is ours. Levels: 1 errors, 2 accounting, 3 refusals, 4 everything.
"""

from qmailfork.programs.journal import AUTH, ENVELOPE, HOST, TLS, UNSAID, Event, clean
from qmailfork.programs.outcome import EXITED, UNSTARTED, Outcome
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.programs.journal import Check


def config(complaint: bytes) -> Event:
    """A value of the checkers' variables makes no sense and was passed over."""
    return Event(b"Error::SNDR::Extfork_Config", HOST, complaint, 1, b"makes no sense: " + clean(complaint))


def relay_list_unset() -> Event:
    """README.smtpextfork: SMTPEXTFORK is set, this client relays, and there is no SMTPEXTFORKR."""
    return Event(b"Info::SNDR::Extforkr_Unset", HOST, None, 2, b"SMTPEXTFORKR is not set")


def controls(reason: bytes) -> Event:
    """A control file could not be read; `reason` names it."""
    words = b"unable to read controls, closing connection: " + clean(reason)
    return Event(b"Error::SNDR::Controls", HOST, reason, 1, words, replies.NO_CONTROLS)


def unbegun(reason: str, ip: bytes, host: bytes) -> Event:
    """A session that has no conversation, for its control files could not be read."""
    event = controls(reason.encode(errors="surrogateescape"))
    event.protocol, event.ip, event.host = b"ESMTP", ip, host
    return event


def connected(ip: bytes, host: bytes, info: bytes | None, local: bytes) -> Event:
    """A session begins."""
    who = clean(host) if info is None else b"%b, %b" % (clean(host), clean(info))
    words = b"connection from %b (%b) to %b" % (clean(ip), who, clean(local))
    return Event(b"Info::SNDR::Connected", UNSAID, None, 2, words)


def said(level: int, words: bytes) -> Event:
    """A step of the conversation that only a verbose log shows."""
    return Event(b"Info::SNDR::Said", UNSAID, None, level, words)


def sender_accepted(sender: bytes) -> Event:
    """MAIL was accepted."""
    return Event(b"Accept::ORIG::Sender", UNSAID, None, 2, b"mail from: " + clean(sender), replies.OK)


def recipient_accepted(recipient: bytes, relay: bool, checks: "list[Check]") -> Event:
    """RCPT was accepted: `relay` for a relay client, otherwise by rcpthosts."""
    condition = b"Accept::SNDR::Relay_Client" if relay else b"Accept::RCPT::Rcpthosts_Rcptto"
    return Event(condition, ENVELOPE, None, 2, b"rcpt to: " + clean(recipient), replies.OK, recipient, checks)


def bad_sender(sender: bytes, recipient: bytes, how: bytes) -> Event:
    """The sender is in badmailfrom; `how` is `@`, a mark (programs/addresses.py), or `*` for a pattern."""
    words = b"bad mailfrom: " + clean(sender)
    return Event(b"Reject::ORIG::Bad_Mailfrom", ENVELOPE, how, 3, words, replies.BAD_SENDER, recipient)


def no_gateway(recipient: bytes) -> Event:
    """The recipient's domain is not in rcpthosts."""
    words = b"no mail relay for 'rcpt to': " + clean(recipient)
    return Event(b"Reject::SNDR::Invalid_Relay", ENVELOPE, None, 3, words, replies.NO_GATEWAY, recipient)


def too_big(recipient: bytes, announced: bool) -> Event:
    """The message exceeds databytes: `announced` by SIZE= at MAIL, or found at DATA."""
    words = b"message denied because: 'SMTP SIZE' too big" if announced else b"datasize limit exceeded"
    return Event(b"Reject::DATA::Invalid_Size", ENVELOPE, None, 3, words, replies.TOO_BIG, recipient)


def looping(recipient: bytes) -> Event:
    """Too many Received and Delivered-To fields."""
    words = b"too many hops, message is looping"
    return Event(b"Reject::DATA::Toomany_Hops", ENVELOPE, None, 3, words, replies.LOOPING, recipient)


def stray_newline(recipient: bytes) -> Event:
    """A bare LF in the message."""
    words = b"stray new line detected, closing connection"
    return Event(b"Reject::DATA::Stray_Newline", ENVELOPE, None, 1, words, replies.STRAY_NEWLINE, recipient)


def queued(recipient: bytes, when: int, qp: int, size: int, reply: bytes) -> Event:
    """The queue program took the message."""
    words = b"message queued: %d qp %d size %d bytes" % (when, qp, size)
    return Event(b"Accept::DATA::Queued", UNSAID, b"qp %d" % qp, 2, words, reply, recipient)


def not_queued(recipient: bytes, program: bytes, outcome: Outcome, reply: bytes) -> Event:
    """The queue program did not take the message, and how it ended; the `program` is named where it did not start."""
    how = b"%d" % outcome.code if outcome.how == EXITED else outcome.how.capitalize().encode()
    lasting = b"permanently" if reply.startswith(b"5") else b"temporarly"
    text = reply[4:].rstrip()
    words = b"message %b not accepted because: %b" % (lasting, text)
    info = program if outcome.how == UNSTARTED else text
    return Event(b"Reject::DATA::Queue_" + how, ENVELOPE, info, 1, words, reply, recipient)


def no_queue(recipient: bytes, reason: bytes) -> Event:
    """The queue program could not be started; `reason` names it."""
    words = b"failed to start qmail-queue: " + clean(reason)
    return Event(b"Error::DATA::Queue_Exec", ENVELOPE, reason, 1, words, b"", recipient)


def checker_failed(recipient: bytes, program: bytes, condition: bytes, checks: "list[Check]") -> Event:
    """A checker could not be started, was killed, ran out of time, or makes no sense."""
    words = b"checker %b failed (%b) on 'rcpt to': %b" % (clean(program), condition, clean(recipient))
    return Event(b"Error::RCPT::" + condition, ENVELOPE, program, 1, words, b"", recipient, checks)


def checker_refused(recipient: bytes, program: bytes, condition: bytes, reply: bytes, checks: "list[Check]") -> Event:
    """A checker refused or deferred the recipient."""
    words = b"'rcpt to' denied via %b (%b): %b" % (clean(program), condition, clean(recipient))
    return Event(b"Reject::RCPT::" + condition, ENVELOPE, program, 3, words, reply, recipient, checks)


def shadowed(recipient: bytes, program: bytes, condition: bytes, reply: bytes, checks: "list[Check]") -> Event:
    """A checker that is not heeded would have refused."""
    words = b"'rcpt to' would be denied via %b (%b): %b" % (clean(program), condition, clean(recipient))
    return Event(b"Shadow::RCPT::" + condition, ENVELOPE, program, 3, words, reply, recipient, checks)


def remark(recipient: bytes, program: bytes, condition: bytes, text: bytes) -> Event:
    """A checker said something for the log, or something that cannot be done."""
    words = b"checker %b says (%b): %b" % (clean(program), condition, clean(text))
    return Event(b"Info::RCPT::" + condition, ENVELOPE, text, 3, words, b"", recipient)


def held(verb: bytes, reply: bytes) -> Event:
    """A command is refused because a plugin said so earlier."""
    words = b"%b refused by an earlier word of a checker" % verb
    return Event(b"Reject::%b::Extfork_Later" % _TYPES[verb], ENVELOPE, reply[4:].strip(), 3, words, reply)


_TYPES = {b"mail": b"ORIG", b"rcpt": b"RCPT", b"data": b"DATA"}


def child_lost(how: bytes, program: bytes) -> Event:
    """The wrapped smtpd could not be executed, has ended, said nothing in time, or spoke nonsense."""
    words = b"wrapped %b failed (%b), closing connection" % (clean(program), how)
    return Event(b"Error::SNDR::Wrapped_" + how, HOST, program, 1, words, replies.CHILD_LOST)


def child_hidden(words: list[bytes]) -> Event:
    """The wrapped smtpd offers what a checker could not see into: it is taken out of its offer."""
    return Event(b"Info::SNDR::Wrapped_Hidden", HOST, b",".join(words), 2, b"not offered: " + b", ".join(words))


def child_blind() -> Event:
    """STARTTLS was let through: nothing is checked any more."""
    return Event(b"Info::SNDR::Wrapped_Blind", HOST, b"starttls", 1, b"starttls: checking ends here")


def child_refused(kind: bytes, recipient: bytes, reply: bytes) -> Event:
    """The wrapped smtpd refused a command (spamcontrol's `kind`: ORIG, RCPT, DATA)."""
    text = reply[4:].partition(b"\r")[0]
    words = b"refused by the wrapped smtpd: %b" % clean(text)
    return Event(b"Reject::%b::Wrapped_%b" % (kind, reply[:3]), ENVELOPE, text, 3, words, reply, recipient)


def child_took(recipient: bytes, reply: bytes) -> Event:
    """The wrapped smtpd took the message."""
    text = reply[4:].partition(b"\r")[0]
    return Event(b"Accept::DATA::Wrapped", UNSAID, text, 2, b"message taken: " + clean(text), reply, recipient)


def tls_begun(facts: dict[bytes, bytes]) -> Event:
    """The session is under TLS from here on."""
    protocol, cipher = facts.get(b"SSL_PROTOCOL", b"unknown"), facts.get(b"SSL_CIPHER", b"unknown")
    words = b"STARTTLS proto=%b; cipher=%b" % (clean(protocol), clean(cipher))
    return Event(b"Accept::TLS::" + clean(cipher), TLS, facts.get(b"SSL_CLIENT_S_DN", b"none"), 3, words)


def tls_missing() -> Event:
    """Mail is refused because the session is not under TLS."""
    return Event(b"Reject::TLS::missing", HOST, None, 3, b"tls needed", replies.TLS_REQUIRED)


def tls_unusable(reason: bytes) -> Event:
    """STARTTLS is not offered, or refused; `reason` names the file at fault."""
    return Event(b"Error::TLS::Certificate", HOST, reason, 1, b"no TLS: " + clean(reason), replies.TLS_NOT_READY)


def tls_failed(reason: bytes) -> Event:
    """The handshake failed."""
    return Event(b"Error::TLS::Handshake", HOST, reason, 1, b"TLS read error: " + clean(reason))


def tls_injected(octets: int) -> Event:
    """What came behind STARTTLS in plain was thrown away."""
    words = b"%d octets behind STARTTLS thrown away" % octets
    return Event(b"Info::TLS::Plain_Dropped", HOST, b"%d" % octets, 2, words)


def authenticated(method: bytes, user: bytes) -> Event:
    """The client has said who it is, and is believed."""
    words = b"authentication success, user " + clean(user)
    return Event(b"Accept::AUTH::" + method, AUTH, user, 2, words)


def not_authenticated(method: bytes, user: bytes) -> Event:
    """The client has said who it is, and is not believed."""
    words = b"authentication failed: " + clean(user)
    return Event(b"Reject::AUTH::" + method, AUTH, user, 3, words, replies.AUTH_FAILED)


def auth_missing() -> Event:
    """Mail is refused because the client has not said who it is."""
    return Event(b"Reject::AUTH::missing", HOST, None, 3, b"auth needed", replies.AUTH_REQUIRED)


def too_many_failures(failures: int) -> Event:
    """The connection is closed because the client failed so often to say who it is."""
    words = b"%d failed authentications, closing connection" % failures
    return Event(b"Reject::AUTH::Toomany_Failures", HOST, b"%d" % failures, 3, words, replies.AUTH_FAILED)


def checkpassword_failed(program: bytes, condition: bytes) -> Event:
    """The checkpassword program could not be started, was killed, ran out of time, or had trouble of its own."""
    words = b"checkpassword %b failed (%b)" % (clean(program), condition)
    return Event(b"Error::AUTH::Checkpassword_" + condition, HOST, program, 1, words, replies.AUTH_TROUBLE)
