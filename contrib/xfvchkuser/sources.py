"""VCHKUSER_SOURCES: which sources are asked, in which order."""

from __future__ import annotations

from importlib import import_module

from xfvchkuser.answers import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from xfvchkuser.site import Recipient, Site

    Exists = Callable[[Recipient, str, Site], int]

DEFAULT = "vpopmail,system"
NONE, MUST, MAY = "takes no argument", "needs an argument", ""
SOURCES = {  # name -> module, function, what is said of a missing or needless argument
    "vpopmail": ("vpopmail", "exists", NONE),
    "system": ("system", "exists", NONE),
    "text": ("tables", "in_text", MUST),
    "cdb": ("tables", "in_cdb", MUST),
    "sql": ("sql", "exists", MUST),
    "ldap": ("ldap", "exists", MUST),
    "ahead": ("ahead", "exists", MAY),
}


def listed(site: Site) -> list[tuple[str, str]]:
    """Return the sources to ask, name and argument. Raises Trouble that tells a wrong entry."""
    text = site.env.get("VCHKUSER_SOURCES") or DEFAULT
    entries = [entry.strip() for entry in text.split(",")]
    return [_source(entry) for entry in entries if entry]


def _source(entry: str) -> tuple[str, str]:
    name, _, argument = entry.partition(":")
    if name not in SOURCES:
        raise Trouble(f"VCHKUSER_SOURCES: {name} is none of {' '.join(SOURCES)}")
    rule = SOURCES[name][2]
    if (rule == MUST and not argument) or (rule == NONE and argument):
        raise Trouble(f"VCHKUSER_SOURCES: {name} {rule}")
    return name, argument


def load(name: str) -> Exists:
    """Return the function of a source. Raises Trouble where a package is missing that it needs."""
    module, function, _ = SOURCES[name]
    return getattr(import_module(f"xfvchkuser.{module}"), function)  # type: ignore[no-any-return]
