"""The deliberate differences from notqmail's qmail-smtpd: the whole list, by name, each with its reason.

Whatever else differs is a fault. A difference that shows in the reply to one command has a predicate: it is true for
the command lines that it is about, and `reply` is the code that we give there. What comes of the rest of the session
is then compared without that command. Those without a predicate show in no reply code and are told apart in
outcome.py, or at another place that is named. WRAPPING has one more, for what stands in front of qmail-smtpd itself.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from qmailfork.smtp import address, client
from tests.differential.sites import Site

LONGEST_LINE = 16384
LITERAL = re.compile(rb"\[(\d+)\.(\d+)\.(\d+)\.(\d+)\]")
SIZE = re.compile(rb"\ssize=(\S*)", re.IGNORECASE)


@dataclass(frozen=True)
class Difference:
    """`applies` (None: shows in no code) takes a command line without its end, and the site."""

    name: str
    reason: str
    reply: bytes = b""
    applies: Callable[[bytes, Site], bool] | None = None


def argument(line: bytes) -> bytes | None:
    """The argument of MAIL or RCPT; None for other verbs."""
    verb, _, rest = line.partition(b" ")
    return rest.lstrip(b" ") if verb.lower() in (b"mail", b"rcpt") else None


def has_no_address(line: bytes, site: Site) -> bool:
    given = argument(line)
    return given is not None and b"<" not in given and b":" not in given


def has_route_without_colon(line: bytes, site: Site) -> bool:
    given = argument(line)
    if given is None:
        return False
    path = given.partition(b"<")[2] if b"<" in given else given.partition(b":")[2].lstrip(b" ")
    return path.startswith(b"@") and b":" not in path


def has_octet_above_255(line: bytes, site: Site) -> bool:
    unquoted = (argument(line) or b"").replace(b"\\", b"").replace(b'"', b"")
    return any(int(octet) > 255 for literal in LITERAL.findall(unquoted) for octet in literal)


def sizes(line: bytes) -> list[bytes]:
    """The values of SIZE= in a MAIL command."""
    return SIZE.findall(argument(line) or b"") if line[:5].lower() == b"mail " else []


def has_size_above_databytes(line: bytes, site: Site) -> bool:
    return any(0 < site.databytes < int(size) for size in sizes(line) if size.isdigit())


def has_malformed_size(line: bytes, site: Site) -> bool:
    return any(not size.isdigit() or len(size) > 20 for size in sizes(line))


DIFFERENCES = (
    Difference(
        "no address",
        "MAIL or RCPT with neither < nor : is refused; qmail-smtpd takes it for an empty address, which no rcpthosts"
        " and no badmailfrom can refuse",
        b"555",
        has_no_address,
    ),
    Difference(
        "source route without colon",
        "<@bad.example> is refused; qmail-smtpd takes it for an empty address, and so past badmailfrom",
        b"555",
        has_route_without_colon,
    ),
    Difference(
        "address literal with an octet above 255",
        "[127.0.0.257] is no address; qmail-smtpd takes the octet modulo 256, and the message for its own",
        b"555",
        has_octet_above_255,
    ),
    Difference(
        "NUL in a command line",
        "qmail-smtpd acts on what stands before the NUL, another program may act on the whole line",
        b"555",
        lambda line, site: b"\0" in line,
    ),
    Difference(
        "line too long",
        f"a command line of more than {LONGEST_LINE} octets; qmail-smtpd has no limit, and memory for one client has to"
        " be bounded",
        b"500",
        lambda line, site: len(line) >= LONGEST_LINE,
    ),
    Difference(
        "SIZE above databytes",
        "RFC 1870: refused at MAIL, before the message is sent; qmail-smtpd knows no parameters",
        b"552",
        has_size_above_databytes,
    ),
    Difference("malformed SIZE", "RFC 1870: a size is a number of 1 to 20 digits", b"555", has_malformed_size),
    Difference(
        "REQUIRETLS",
        "RFC 8689: a sender who asks that the message never go in plain is refused; qmail-smtpd knows no parameters",
        b"555",
        lambda line, site: line[:5].lower() == b"mail " and b"requiretls" in line.lower().split(),
    ),
    Difference("SIZE advertised", "RFC 1870: EHLO names databytes (outcome.py takes the line away)"),
    Difference("help text", "each names its own project (outcome.py takes the text away)"),
    Difference(
        "DATABYTES from 2^32 on",
        "taken as the number it is; qmail-smtpd's wraps (transcripts/databytes-big.txt)",
    ),
    Difference(
        "the queue's own words are one plain line",
        "with exit code 82 qmail-smtpd hands on line ends and control octets, and so lets the queue program, or who"
        " wrote the message, forge replies (transcripts/queue-text-of-more-lines.txt)",
    ),
    Difference(
        "the queue's own words on descriptor 4",
        "simscan and others write there, as the older custom-error patch has it"
        " (transcripts/queue-text-on-descriptor-4.txt)",
    ),
)


def cannot_be_handed_on(line: bytes, site: Site) -> bool:
    try:
        client.quoted(address.parse(argument(line) or b"")[0])
    except address.SyntaxFault:
        return True
    return False


WRAPPING = (
    *DIFFERENCES,
    Difference(
        "an address that cannot be written as one",
        "control characters in the local part, or what no domain contains, have no form between < and > that every"
        " server reads alike; so the wrapped one never hears of them",
        b"555",
        cannot_be_handed_on,
    ),
)


def excuse(
    line: bytes, reply: bytes, site: Site, differences: tuple[Difference, ...] = DIFFERENCES
) -> Difference | None:
    """The deliberate difference that explains this reply of ours to a command line, if one does."""
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    for difference in differences:
        if difference.applies and difference.reply == reply[:3] and difference.applies(line, site):
            return difference
    return None
