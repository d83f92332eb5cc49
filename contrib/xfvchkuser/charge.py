"""Which domains vchkuser judges; every other recipient passes unasked."""

from __future__ import annotations

from xfkit import words

from xfvchkuser import routing, tables
from xfvchkuser.answers import Trouble
from xfvchkuser.site import control_lines, octets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xfvchkuser.site import Recipient, Site


def has(site: Site, recipient: Recipient) -> bool:
    """Say whether the recipient is the site's to judge.

    That is a domain in VCHKUSER_DOMAINS; without the variable one that qmail-smtpd(8) takes mail for
    (control/rcpthosts, control/morercpthosts.cdb); without rcpthosts one that is delivered here.
    """
    named = words(site.env, "VCHKUSER_DOMAINS")
    if named:
        return _listed(_domains(site, named), recipient.domain)
    lines = site.control("rcpthosts")
    if lines is None:
        return routing.local_part(site, recipient) is not None
    return _listed({line.lower() for line in lines}, recipient.domain) or _in_more(site, recipient.domain)


def _domains(site: Site, named: list[str]) -> set[bytes]:
    found: set[bytes] = set()
    for entry in named:
        lines = control_lines(site.path(entry)) if "/" in entry else [octets(entry)]
        if lines is None:
            raise Trouble(f"VCHKUSER_DOMAINS: no file {entry}")
        found.update(line.lower() for line in lines)
    return found


def _listed(domains: set[bytes], domain: bytes) -> bool:
    return any(name in domains for name in routing.suffixes(domain) if name)


def _in_more(site: Site, domain: bytes) -> bool:
    more = tables.open_cdb(site.path("control/morercpthosts.cdb"))
    return more is not None and any(more.get(name) is not None for name in routing.suffixes(domain) if name)
