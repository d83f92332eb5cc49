"""Envelopes and clients that a checker meets sooner or later, and that some of them do not survive."""

from dataclasses import dataclass, replace

from qmailfork.smtp import address, commands

FORGED = b"qmail-smtpd: pid 1 Accept::RCPT::Forged"
TOUCHING = ("$(touch %s)`touch %s`", ";touch %s;", "';touch %s;'", '";touch %s;"')
CLIENT = (b"TCPREMOTEHOST", b"TCPREMOTEINFO", b"TCPREMOTEPORT", b"TCPLOCALIP", b"TCPLOCALPORT", b"TCPLOCALHOST")


@dataclass(frozen=True)
class Case:
    """One recipient as a checker sees it.

    `host` and `info` None where they are not known; `helo` None where the client gave none; `relays` for a client
    with RELAYCLIENT; the variables `without` are taken away, `bare` leaves nothing but the session's own.
    """

    name: str = "a plain envelope"
    sender: bytes = b"john@foodomain.net"
    recipient: bytes = b"joe@joedomain.net"
    helo: bytes | None = b"mx.foodomain.net"
    ip: bytes = b"203.0.113.7"
    host: bytes | None = b"mx.foodomain.net"
    info: bytes | None = None
    relays: bool = False
    without: tuple[bytes, ...] = ()
    bare: bool = False


def nasty(plain: Case, canary: str) -> list[Case]:
    """The cases, as changes of a `plain` one; `canary` is a file that only a shell would make."""
    return [plain, *_addresses(plain), *_clients(plain), *_octets(plain), *_commands(plain, canary)]


def _addresses(plain: Case) -> list[Case]:
    domain = b"@" + address.domain(plain.recipient)
    longest = address.LONGEST - len(domain)
    return [
        replace(plain, name="the null sender", sender=b""),
        replace(plain, name="a local part of 64 octets", recipient=b"x" * 64 + domain),
        replace(plain, name="a local part of 65 octets", recipient=b"x" * 65 + domain),
        replace(
            plain, name="addresses of 899 octets", sender=b"x" * longest + domain, recipient=b"y" * longest + domain
        ),
        replace(plain, name="a recipient without a domain", recipient=b"postmaster"),
        replace(plain, name="more than one @", sender=b"@a@b@@c" + domain, recipient=b"a@b" + domain),
        replace(plain, name="an address literal", sender=b"john@[203.0.113.7]", recipient=b"joe@[IPv6:2001:db8::7]"),
        replace(plain, name="a path as an address", sender=b"../../../etc/passwd", recipient=b"/../.." + domain),
        replace(plain, name="an option as an address", sender=b"--help", recipient=b"-rf" + domain),
    ]


def _clients(plain: Case) -> list[Case]:
    return [
        replace(plain, name="a client with IPv6", ip=b"2001:db8::7", host=None),
        replace(plain, name="a client without a name", host=None),
        replace(plain, name="a client that may relay", relays=True),
        replace(plain, name="no HELO", helo=None),
        replace(plain, name="a HELO of 16,000 octets", helo=b"h" * (commands.LONGEST - 384)),
        replace(plain, name="TCPREMOTEIP is missing", without=(b"TCPREMOTEIP",)),
        replace(plain, name="all of TCP* is missing", without=(b"TCPREMOTEIP", b"PROTO", *CLIENT)),
        replace(plain, name="no PATH, HOME or settings", bare=True),
    ]


def _octets(plain: Case) -> list[Case]:
    """What tcp-environ(5) calls arbitrary characters; no LF comes in an address, for it ends the command."""
    return [_everywhere(plain, name, odd) for name, odd in (
        ("quotes and blanks", b"\"a b\" 'c' \\d"),
        ("UTF-8", "jürgen.☃.日本".encode()),
        ("octets that are not UTF-8", b"\xff\xfe\x80\xc3"),
        ("escape sequences", b"\x1b[2J\x1b]0;x\x07\x08"),
        ("percent signs", b"%s%n%x%99999d%%"),
        ("wildcards and SQL", b"%_*?[a-z]' OR '1'='1' --"),
        ("carriage returns", b"x\r" + FORGED + b"\ry"),
    )] + [replace(plain, name="newlines from ident and DNS", host=b"x\n" + FORGED, info=b"y\n" + FORGED)]  # fmt: skip


def _commands(plain: Case, canary: str) -> list[Case]:
    odd = [form.replace("%s", canary).encode() for form in TOUCHING]
    return [_everywhere(plain, f"shell commands, {how}", what) for how, what in zip(
        ("substituted", "after ;", "after '", 'after "'), odd, strict=True
    )]  # fmt: skip


def _everywhere(plain: Case, name: str, odd: bytes) -> Case:
    domain = b"@" + address.domain(plain.recipient)
    return replace(plain, name=name, sender=odd + domain, recipient=odd + domain, helo=odd, host=odd, info=odd)
