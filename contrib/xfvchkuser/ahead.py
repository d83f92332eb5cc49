"""A call ahead: ask the next hop with MAIL FROM:<> and RCPT, never DATA (RFC 5321, section 3.3)."""

from __future__ import annotations

import smtplib
import socket

from xfvchkuser import cache, routing
from xfvchkuser.answers import FOREIGN, NO, YES, Trouble
from xfvchkuser.limits import Limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xfvchkuser.site import Recipient, Site

PORT = 25
REFUSES = {550, 551, 553, 554, 556}  # says no to this recipient; other codes speak of the conversation
ATOM = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.")


def exists(recipient: Recipient, argument: str, site: Site) -> int:
    """Say whether the next hop takes the recipient, from the cache if it knows. Raises Trouble.

    argument: HOST[:PORT]; without one the host that control/smtproutes has for the domain. A domain that is
    delivered here has no next hop, and one without a route is not asked about.
    """
    if routing.local_part(site, recipient) is not None:
        return FOREIGN
    hop = argument or route(site, recipient.domain)
    if not hop:
        return FOREIGN
    known = cache.Cache(site)
    answer = known.fresh(hop, recipient.address)
    return _asked(known, hop, recipient, site) if answer is None else answer


def _asked(known: cache.Cache, hop: str, recipient: Recipient, site: Site) -> int:
    try:
        answer = _call(hop, recipient, site)
    except Trouble:
        if known.stale(hop, recipient.address):
            return YES
        raise
    known.keep(hop, recipient.address, answer)
    return answer


def route(site: Site, domain: bytes) -> str:
    """Return the relay that control/smtproutes names for domain as qmail-remote(8) reads it, or nothing."""
    table = routing.mapping(site.control("smtproutes") or [])
    relays = (table[name] for name in routing.suffixes(domain) if name in table)
    return next(relays, b"").decode("ascii", "replace").split(" ")[0]


def endpoint(hop: str) -> tuple[str, int]:
    """Return host and port of HOST, HOST:PORT, [IPV6] or [IPV6]:PORT. Raises Trouble."""
    head, bracket, tail = hop.rpartition("]")
    host, colon, port = tail.partition(":") if bracket else hop.partition(":")
    wrong = bool(host or head[:1] != "[") if bracket else not host
    if wrong or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise Trouble(f"ahead: {hop} is no HOST[:PORT]")
    return (head[1:] if bracket else host), int(port or PORT)


def _call(hop: str, recipient: Recipient, site: Site) -> int:
    path = quoted(recipient)
    if path is None:
        return NO
    host, port = endpoint(hop)
    helo = site.me("helohost").decode("ascii", "replace") or socket.gethostname()
    client = smtplib.SMTP(local_hostname=helo, timeout=site.seconds)
    client.command_encoding = "latin-1"  # octets as they are
    try:
        return _conversation(client, host, port, path, site.seconds)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise Trouble(f"ahead: {hop}: {' '.join(str(error).split()) or type(error).__name__}") from None
    finally:
        client.close()


def _conversation(client: smtplib.SMTP, host: str, port: int, path: str, seconds: int) -> int:
    code, text = client.connect(host, port)
    assert client.sock is not None  # connect has made it
    with Limit(client.sock.fileno(), seconds) as limit:
        _expect(code, text)
        client.ehlo_or_helo_if_needed()
        _expect(*client.docmd("MAIL", "FROM:<>"))
        code, text = client.docmd("RCPT", f"TO:<{path}>")
        limit.check()  # smtplib takes a reply cut off for a whole one
        answer = judge(code, text)
        _part(client)
    return answer


def _part(client: smtplib.SMTP) -> None:
    try:
        client.docmd("QUIT")
    except (OSError, smtplib.SMTPException):  # the answer is known by now
        pass


def _expect(code: int, text: bytes) -> None:
    if code // 100 != 2:
        raise smtplib.SMTPException(f"{code} {text.decode('ascii', 'replace')}")


def judge(code: int, text: bytes) -> int:
    """Return what a reply to RCPT says of the recipient. Raises SMTPException where it says nothing."""
    if code in REFUSES:
        return NO
    _expect(code, text)
    return YES


def quoted(recipient: Recipient) -> str | None:
    """Return the address as RFC 5321 section 4.1.2 writes it, None if no SMTP command can carry it."""
    if any(octet < 32 or octet == 127 for octet in recipient.address) or b">" in recipient.domain:
        return None
    local = recipient.local
    plain = local and all(octet in ATOM or octet > 127 for octet in local)
    if not plain or local.startswith(b".") or local.endswith(b".") or b".." in local:
        local = b'"' + local.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return (local + b"@" + recipient.domain).decode("latin-1")
