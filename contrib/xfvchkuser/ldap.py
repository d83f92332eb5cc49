"""An LDAP search (RFC 4511), through ldap3. The address is escaped as RFC 4515 wants it in a filter."""

from __future__ import annotations

import os
import ssl

from xfvchkuser.answers import NO, YES, Trouble, trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from xfvchkuser.site import Recipient, Site

try:
    import ldap3
    from ldap3.core.exceptions import LDAPException
    from ldap3.utils.conv import escape_filter_chars
    from ldap3.utils.dn import escape_rdn
except ImportError:
    raise Trouble("ldap needs the Python package ldap3") from None

FILTER = "(mail=%s)"
SUCCESS, SIZE_LIMIT, NO_SUCH_OBJECT = 0, 4, 32


def exists(recipient: Recipient, argument: str, site: Site) -> int:
    """Say whether an entry below VCHKUSER_LDAP_BASE matches VCHKUSER_LDAP_FILTER. Raises Trouble.

    argument: ldap://HOST[:PORT], ldaps://HOST[:PORT] or ldapi://PATH with %2F for its slashes.
    """
    base = site.env.get("VCHKUSER_LDAP_BASE", "")
    if not base:
        raise Trouble("VCHKUSER_LDAP_BASE is not set")
    addresses = [_text(name, recipient.domain) for name in recipient.locals(site.breaks)]
    try:
        with _connected(argument, site) as connection:
            found = any(_search(connection, base, site, address) for address in addresses if address)
    except LDAPException as error:
        raise Trouble(f"{argument}: {' '.join(str(error).split())}") from None
    return YES if found else NO


def _text(local: bytes, domain: bytes) -> tuple[str, str] | None:
    """Return local part and domain in lower case; None for octets that are no text: no directory has them."""
    try:
        return local.lower().decode(), domain.decode()
    except UnicodeDecodeError:
        return None


def _connected(url: str, site: Site) -> ldap3.Connection:
    if not url.startswith(("ldap://", "ldaps://", "ldapi://")):
        raise Trouble(f"VCHKUSER_SOURCES: ldap:{url} is no ldap://, ldaps:// or ldapi:// URL")
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=site.env.get("VCHKUSER_LDAP_CA") or None)
    server = ldap3.Server(url, connect_timeout=site.seconds, get_info=ldap3.NONE, tls=tls)
    safe = bool(site.env.get("VCHKUSER_LDAP_STARTTLS"))
    return ldap3.Connection(
        server,
        user=site.env.get("VCHKUSER_LDAP_USER") or None,
        password=_password(site),
        auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND if safe else ldap3.AUTO_BIND_NO_TLS,
        auto_referrals=False,
        read_only=True,
        receive_timeout=site.seconds,
    )


def _password(site: Site) -> str | None:
    """Return the first line of VCHKUSER_LDAP_PASSWORDFILE: an environment is too easily seen."""
    name = site.env.get("VCHKUSER_LDAP_PASSWORDFILE", "")
    if not name:
        return None
    try:
        with open(site.path(name), "rb") as file:
            return os.fsdecode(file.readline().rstrip(b"\n"))
    except OSError as error:
        raise trouble(name, error) from None


def _search(connection: ldap3.Connection, base: str, site: Site, address: tuple[str, str]) -> bool:
    wanted = expand(site.env.get("VCHKUSER_LDAP_FILTER") or FILTER, address, escape_filter_chars)
    place = expand(base, address, escape_rdn)
    connection.search(place, wanted, attributes=[ldap3.NO_ATTRIBUTES], size_limit=1)
    result = connection.result
    if result["result"] in (SUCCESS, SIZE_LIMIT):
        return any(entry["type"] == "searchResEntry" for entry in connection.response)
    if result["result"] == NO_SUCH_OBJECT and place != base:
        return False
    raise Trouble(f"ldap: search below {place}: {result['description']} {result['message']}".strip())


def expand(text: str, address: tuple[str, str], escape: Callable[[str], str]) -> str:
    """Return text with %s for the address, %u its local part, %d its domain, all escaped, and %% for %."""
    local, domain = address
    values = {"s": f"{local}@{domain}", "u": local, "d": domain}
    head, *parts = text.replace("%%", "\0").split("%")
    for part in parts:
        head += escape(values[part[0]]) + part[1:] if part[:1] in values else "%" + part
    return head.replace("\0", "%")
