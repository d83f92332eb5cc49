"""What spamcontrol's switches refuse, one event each: its condition and shape, as in programs/events.py."""

from qmailfork.programs.journal import ENVELOPE, HOST, Event, clean
from qmailfork.smtp import replies


def early_talker() -> Event:
    """The client could not wait for its greeting."""
    return Event(b"Reject::SNDR::Early_Talker", HOST, None, 3, b"client spoke before the greeting", replies.EARLY)


def bad_parameter(recipient: bytes | None, parameters: bytes, reply: bytes) -> Event:
    """What MAIL (`recipient` None) or RCPT says for an extension that is turned on cannot be taken."""
    kind, command = (b"ORIG", b"mail from") if recipient is None else (b"RCPT", b"rcpt to")
    words = b"parameter of '%b' refused: %b" % (command, clean(parameters))
    return Event(b"Reject::%b::Bad_Parameter" % kind, ENVELOPE, parameters, 3, words, reply, recipient or b"")


def bad_name(recipient: bytes, how: bytes) -> Event:
    """What the client calls itself: `how` is 0 nothing, ! empty, . in badhelo, * by a pattern."""
    words = b"bad helo (%b)" % how
    return Event(b"Reject::SNDR::Bad_Helo", ENVELOPE, how, 3, words, replies.BAD_NAME, recipient)


def unknown_name(recipient: bytes, how: bytes) -> Event:
    """What DNS says of what the client calls itself: `how` is = another host, A no address, M no mail host."""
    words = b"helo unknown to DNS (%b)" % how
    return Event(b"Reject::SNDR::DNS_Helo", ENVELOPE, how, 3, words, replies.BAD_NAME, recipient)


def name_later(recipient: bytes, how: bytes) -> Event:
    """DNS does not tell for the moment what it has of what the client calls itself."""
    words = b"helo lookup failed temporarly (%b)" % how
    return Event(b"Reject::SNDR::DNS_Helo_Temp", ENVELOPE, how, 3, words, replies.DNS_LATER, recipient)


def no_such_sender(recipient: bytes) -> Event:
    """DNS has no domain of the sender's."""
    words = b"refused mailfrom without a domain in DNS"
    return Event(b"Reject::ORIG::DNS_MF", ENVELOPE, None, 3, words, replies.NO_SUCH_SENDER, recipient)


def sender_later(recipient: bytes) -> Event:
    """DNS does not tell for the moment whether the sender's domain is there."""
    words = b"refused mailfrom because return MX lookup failed temporarly"
    return Event(b"Reject::ORIG::DNS_MF_Temp", ENVELOPE, None, 3, words, replies.DNS_LATER, recipient)


def no_mailbox(recipient: bytes, later: bool) -> Event:
    """The recipient does not exist; where it may `later`, the refusal is a temporary one."""
    words = b"bad recipient: " + clean(recipient)
    reply = replies.NO_MAILBOX_YET if later else replies.NO_MAILBOX
    return Event(b"Reject::RCPT::Failed_Rcptto", ENVELOPE, None, 3, words, reply, recipient)


def mailbox_later(recipient: bytes, program: bytes) -> Event:
    """A program of control/recipients does not tell for the moment whether there is this recipient."""
    words = b"recipient verify failed temporarly via %b: %b" % (clean(program), clean(recipient))
    return Event(b"Error::RCPT::Recipients_Pam", ENVELOPE, program, 1, words, replies.MAILBOX_LATER, recipient)


def not_own_sender(recipient: bytes) -> Event:
    """A relay client gives a sender that is not its own."""
    return Event(
        b"Reject::ORIG::Invalid_Mailfrom", ENVELOPE, None, 3, b"bad sender of a relay client", replies.NOT_OWN_SENDER,
        recipient,
    )  # fmt: skip


def bad_recipient(recipient: bytes) -> Event:
    """The recipient is in badrcptto."""
    words = b"'rcpt to' denied via badrcptto: " + clean(recipient)
    return Event(b"Reject::RCPT::Bad_Rcptto", ENVELOPE, None, 3, words, replies.BAD_RECIPIENT, recipient)


def too_many(recipient: bytes) -> Event:
    """The client has named more recipients than it may."""
    words = b"message denied because of more 'RCPT TO' than allowed"
    condition = b"Reject::RCPT::Toomany_Rcptto"
    return Event(condition, ENVELOPE, None, 3, words, replies.TOO_MANY_RECIPIENTS, recipient)
