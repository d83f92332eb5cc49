"""The lists and switches of spamcontrol, asked about one recipient before the checkers, in spamcontrol's order.

A check yields requests and returns the event of a refusal, None where it has no objection. Which checks a client meets
depends on whether it relays: its "split horizon".
"""

from qmailfork.conversation import owning, policy
from qmailfork.conversation.checking import Candidate, Hangup
from qmailfork.conversation.requests import Ending, Listen, Lookup, Wait
from qmailfork.conversation.session import Session
from qmailfork.conversation.settings import ControlFault
from qmailfork.conversation.switches import Screened, Switches
from qmailfork.programs import events, refusals
from qmailfork.programs.journal import Event
from qmailfork.smtp import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.conversation.requests import Asking

    Check = Callable[[Session, Switches, Candidate], Asking[Event | None]]
    Plain = Callable[[Session, Switches, Candidate], Event | None]

PLAIN = b"ESMTP"  # a session's protocol, before letters for what is special about it
NOTORIOUS = 999  # TARPITDELAY's value that closes the connection
NONE_GIVEN, EMPTY, OTHER_HOST = b"0", b"!", b"="  # the log's letters for what is wrong with a name
PRESENT = frozenset((b"!", b".", b"=", b"A", b"M"))  # HELOCHECK's words that want a HELO at all
ADDRESS, MAIL = ("A", "AAAA"), ("MX", "A", "AAAA")
IN_DNS = {b"A": ADDRESS, b"M": MAIL}  # those that ask DNS, and for what
NULL_MX = [b"."]
DNS_SECONDS = 20.0
LONGEST_NAME = 253  # octets of a domain name
MOST_NAMES = 100  # that one session may keep
LISTED = frozenset((b"", b".", b"=", b"A", b"M"))  # those that look into badhelo


def screen(session: Session, switches: Switches, candidate: Candidate) -> "Asking[bytes]":
    """The reply that refuses the candidate, empty where nothing does."""
    relay = session.settings.relay_suffix is not None
    for check in _RELAY if relay else _OTHERS:
        refused = yield from check(session, switches, candidate)
        if refused:
            return (yield from session.refuse(refused))
    return b""


def hush(session: Session, switches: Switches) -> "Asking[Ending | None]":
    """GREETDELAY: the end of a client that speaks before its greeting, None for one that keeps silent."""
    said = yield Listen(switches.greet_delay)
    if said is None:
        return None
    if not said:
        yield from session.say(1, b"read error or connection closed")
        return Ending(b"", 1)
    return Ending((yield from session.refuse(refusals.early_talker())), 1)


def _found(session: Session) -> Screened:
    if session.screened is None:
        session.screened = Screened()
    return session.screened


def _plain(check: "Plain") -> "Check":
    """A check that has nothing to ask."""

    def asked(session: Session, switches: Switches, candidate: Candidate) -> "Asking[Event | None]":
        yield from ()
        return check(session, switches, candidate)

    return asked


def _name(session: Session, switches: Switches, candidate: Candidate) -> "Asking[Event | None]":
    """HELOCHECK: what the client calls itself."""
    word, name, recipient = switches.check_name, session.helo, candidate.envelope.recipient
    if word is None:
        return None
    if name is None:
        return refusals.bad_name(recipient, NONE_GIVEN) if word in PRESENT else None
    if not name and word in (b"!", b"."):
        return refusals.bad_name(recipient, EMPTY)
    how = switches.bad_names.judge(name) if switches.bad_names and word in LISTED else b""
    if how == b"!":
        return None
    if how:
        return refusals.bad_name(recipient, how)
    if word == b"=" and name.lower() != session.peer.host.lower():
        return refusals.unknown_name(recipient, OTHER_HOST)
    if word in IN_DNS:
        return (yield from _name_in_dns(session, name, word, recipient))
    return None


def _name_in_dns(session: Session, name: bytes, word: bytes, recipient: bytes) -> "Asking[Event | None]":
    found = yield from _records(session, name, IN_DNS[word])
    if found is None:
        return refusals.name_later(recipient, word)
    return None if found else refusals.unknown_name(recipient, word)


def _sender_in_dns(session: Session, switches: Switches, candidate: Candidate) -> "Asking[Event | None]":
    """MFDNSCHECK: the sender's domain has to be able to get mail (RFC 5321 section 5.1, RFC 7505 section 4.2)."""
    sender, recipient = session.sender, candidate.envelope.recipient
    if not switches.sender_in_dns or not sender or (switches.bad_senders and switches.bad_senders.exempt(sender)):
        return None
    found = yield from _records(session, address.domain(sender) if b"@" in sender else sender, MAIL)
    if found is None:
        return refusals.sender_later(recipient)
    return None if found and found != NULL_MX else refusals.no_such_sender(recipient)


def _is_literal(name: bytes) -> bool:
    try:
        return bool(address.literal(b"@" + name)) or (name[:6].lower() == b"[ipv6:" and name.endswith(b"]"))
    except address.SyntaxFault:
        return False


def _records(session: Session, name: bytes, kinds: tuple[str, ...]) -> "Asking[list[bytes] | None]":
    """What DNS says of `name`, asked once in a session; an address literal stands for itself. Raises ControlFault."""
    if _is_literal(name):
        return [name]
    known = _found(session).names
    key = name.lower(), kinds
    if key not in known:
        if len(known) >= MOST_NAMES:
            known.clear()
        answer = (yield Lookup(name, kinds, DNS_SECONDS)) if len(name) <= LONGEST_NAME else []
        if isinstance(answer, ControlFault):
            raise answer
        known[key] = answer
    return known[key]


def _gateway(session: Session, switches: Switches, candidate: Candidate) -> Event | None:
    """rcpthosts."""
    return None if candidate.envelope.local else events.no_gateway(candidate.envelope.recipient)


def _tarpit(session: Session, switches: Switches, candidate: Candidate) -> "Asking[Event | None]":
    """TARPITCOUNT and TARPITDELAY. Raises Hangup."""
    if not switches.tarpit_count:
        return None
    refused = refusals.too_many(candidate.envelope.recipient)
    if _found(session).failed >= switches.tarpit_count:
        if switches.tarpit_delay != NOTORIOUS:
            return refused
        session.owed.append((yield from session.refuse(refused)))
        raise Hangup
    if session.tried >= switches.tarpit_count and 0 < switches.tarpit_delay < NOTORIOUS:
        yield Wait(session.due(), switches.tarpit_delay)
    return None


def _mailbox(session: Session, switches: Switches, candidate: Candidate) -> "Asking[Event | None]":
    """control/recipients."""
    if switches.recipients is None:
        return None
    from qmailfork.conversation import mailboxes  # noqa: PLC0415  # only with that file

    recipient = candidate.envelope.recipient
    try:
        found = yield from mailboxes.find(session, switches, switches.recipients, recipient)
    except mailboxes.Trouble as fault:
        return refusals.mailbox_later(recipient, fault.program)
    if found:
        candidate.listed = found
        return None
    _found(session).failed += 1
    return refusals.no_mailbox(recipient, switches.later)


def _own_sender(session: Session, switches: Switches, candidate: Candidate) -> Event | None:
    """LOCALMFCHECK: whether a relay client has the sender that it gives."""
    if switches.own_senders is None:
        return None
    session.protocol = PLAIN + session.protocol[len(PLAIN) :].replace(b"M", b"")  # of the message before
    if not session.sender:
        return None
    if not owning.owns(session, switches, switches.own_senders):
        return refusals.not_own_sender(candidate.envelope.recipient)
    session.protocol += b"M"
    candidate.listed = b"Accept::ORIG::Local_Sender"
    return None


def _bad_sender(session: Session, switches: Switches, candidate: Candidate) -> Event | None:
    """badmailfrom."""
    if switches.bad_senders is None:
        how = policy.bad_sender(session.settings, session.sender)
    else:
        relays = session.settings.relay_suffix is not None
        how = switches.bad_senders.judge(session.sender, session.peer.host, relays)
    return events.bad_sender(session.sender, candidate.routed, how) if how else None


def _bad_recipient(session: Session, switches: Switches, candidate: Candidate) -> Event | None:
    """badrcptto."""
    refused = switches.bad_recipients is not None and switches.bad_recipients.has(candidate.routed)
    return refusals.bad_recipient(candidate.routed) if refused else None


def _too_many(session: Session, switches: Switches, candidate: Candidate) -> Event | None:
    """MAXRECIPIENTS."""
    return refusals.too_many(candidate.routed) if 0 < switches.most_recipients < session.tried else None


_ALL: "tuple[Check, ...]" = (_plain(_bad_sender), _plain(_bad_recipient), _plain(_too_many))
_RELAY: "tuple[Check, ...]" = (_plain(_own_sender), *_ALL)
_OTHERS: "tuple[Check, ...]" = (_name, _sender_in_dns, _plain(_gateway), _tarpit, _mailbox, *_ALL)
