"""Does this recipient exist? The sources that vchkuser(8) asks, and what their answers add up to.

A source is a module with one function, `exists(recipient, argument, site) -> int`: YES, NO (the source
keeps this domain's addresses, and this is none of them) or FOREIGN (the domain is not one that it keeps).
It raises Trouble where it cannot tell.
"""

from __future__ import annotations

import xfkit

from xfvchkuser import charge, sources
from xfvchkuser.answers import FOREIGN, NO, YES, Trouble
from xfvchkuser.site import Recipient, Site

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FOREIGN", "NO", "YES", "Recipient", "Site", "Trouble", "check"]

NAME = "vchkuser"
UNKNOWN = "sorry, no mailbox here by that name. (#5.1.1)"  # as qmail-local(8) says it
UNSURE = "sorry, I can't find out now whether that mailbox exists. (#4.3.0)"


def check(env: Mapping[str, str]) -> xfkit.Verdict:
    """Say whether REMOTERCPT exists: PASS, REFUSE, or DEFER where the sources that matter are in trouble."""
    try:
        site = Site(env)
        recipient = site.recipient()
        if not charge.has(site, recipient):
            return xfkit.Verdict(xfkit.PASS)
        return _verdict(site, recipient)
    except Trouble as trouble:
        return _defer(env, [str(trouble)])


def _verdict(site: Site, recipient: Recipient) -> xfkit.Verdict:
    answers, troubles = ask(site, recipient)
    if YES in answers:
        return xfkit.Verdict(xfkit.PASS)
    if troubles:  # the source in trouble might have known the address
        return _defer(site.env, troubles)
    if NO not in answers:
        return xfkit.Verdict(xfkit.PASS)
    _log(site.env, xfkit.REFUSE, "unknown recipient")
    return xfkit.Verdict(xfkit.REFUSE, UNKNOWN)


def ask(site: Site, recipient: Recipient) -> tuple[list[int], list[str]]:
    """Ask one source after the other, up to the first YES; return their answers and their troubles."""
    answers: list[int] = []
    troubles: list[str] = []
    for exists, argument in sources.listed(site):
        try:
            answers.append(exists(recipient, argument, site))
        except Trouble as trouble:
            troubles.append(str(trouble))
        if YES in answers:
            break
    return answers, troubles


def _defer(env: Mapping[str, str], troubles: list[str]) -> xfkit.Verdict:
    code = xfkit.PASS if env.get("XF_ONERROR") == "pass" else xfkit.DEFER
    for trouble in troubles:
        _log(env, code, f"cannot tell: {trouble}")
    return xfkit.Verdict(code, UNSURE if code else "")


def _log(env: Mapping[str, str], code: int, text: str) -> None:
    recipient, sender = (xfkit.field(env.get(name, "")) for name in ("REMOTERCPT", "REMOTEMF"))
    xfkit.log(NAME, f"recipient={recipient} sender={sender} exit={code} {text}")
