"""VCHKUSER_SOURCES: which sources are asked, in which order."""

from __future__ import annotations

from xfvchkuser import system, tables, vpopmail
from xfvchkuser.answers import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from xfvchkuser.site import Recipient, Site

    Exists = Callable[[Recipient, str, Site], int]

DEFAULT = "vpopmail,system"


def _sql(recipient: Recipient, argument: str, site: Site) -> int:
    from xfvchkuser import sql  # noqa: PLC0415  # these three load much, and only for the sites that use them

    return sql.exists(recipient, argument, site)


def _ldap(recipient: Recipient, argument: str, site: Site) -> int:
    from xfvchkuser import ldap  # noqa: PLC0415

    return ldap.exists(recipient, argument, site)


def _ahead(recipient: Recipient, argument: str, site: Site) -> int:
    from xfvchkuser import ahead  # noqa: PLC0415

    return ahead.exists(recipient, argument, site)


NONE, MUST, MAY = "takes no argument", "needs an argument", ""
SOURCES: dict[str, tuple[Exists, str]] = {  # name -> function, what is said of a missing or needless argument
    "vpopmail": (vpopmail.exists, NONE),
    "system": (system.exists, NONE),
    "text": (tables.in_text, MUST),
    "cdb": (tables.in_cdb, MUST),
    "sql": (_sql, MUST),
    "ldap": (_ldap, MUST),
    "ahead": (_ahead, MAY),
}


def listed(site: Site) -> list[tuple[Exists, str]]:
    """Return the sources to ask, each with its argument. Raises Trouble that tells a wrong entry."""
    text = site.env.get("VCHKUSER_SOURCES") or DEFAULT
    entries = [entry.strip() for entry in text.split(",")]
    return [_source(entry) for entry in entries if entry]


def _source(entry: str) -> tuple[Exists, str]:
    name, _, argument = entry.partition(":")
    if name not in SOURCES:
        raise Trouble(f"VCHKUSER_SOURCES: {name} is none of {' '.join(SOURCES)}")
    exists, rule = SOURCES[name]
    if (rule == MUST and not argument) or (rule == NONE and argument):
        raise Trouble(f"VCHKUSER_SOURCES: {name} {rule}")
    return exists, argument
