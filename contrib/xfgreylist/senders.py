"""Addresses without the part that changes from message to message.

A list or a bounce-proof sender writes a number, a hash or the recipient into its envelope address, so that each
message would be a new triplet for ever. What is left here is the same for every message of that sender.
"""

from __future__ import annotations

import re

BATV = re.compile(r"(?:prvs|msprvs1)=[^=]+=(.+)|btv1==[^=]+==(.+)")  # draft-levine-smtp-batv; Barracuda's btv1
SRS0 = re.compile(r"srs0[=+-][^=]+=[^=]+=(.+)")  # SRS0=hash=day=domain=local, www.libsrs2.net/srs/srs.pdf
SRS1 = re.compile(r"srs1[=+-][^=]+=([^=]+)=[=+-][^=]+=[^=]+=(.+)")  # SRS1=hash=forwarder==hash=day=domain=local
VERP = re.compile(r"(.+?)[-+][^=]*=[^=]+")  # list-return-17-user=example.org, cr.yp.to/proto/verp.txt
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # RFC 9562 section 4
TOKENS = re.compile(r"([-+_.=/]+)")
CHANGING = re.compile(  # a number; or letters and digits too long or too hexadecimal to be a name
    r"\d+|(?=.*\d)(?=.*[a-f])[0-9a-f]{8,}|(?=.*\d.*\d)(?=.*[a-z])[0-9a-z]{16,}"
)


def steady(local: str) -> str:
    """Return the local part (in lower case) without its changing part; a plain address comes back as it is."""
    if found := BATV.fullmatch(local):
        return steady(found[1] or found[2])
    if found := SRS0.fullmatch(local):
        return "srs0=" + found[1]
    if found := SRS1.fullmatch(local):
        return f"srs1={found[1]}={found[2]}"
    if found := VERP.fullmatch(local):
        local = found[1]
    return _numbers(local)


def _numbers(local: str) -> str:
    """Put `#` for each changing token; an address that is one number only is somebody's own."""
    if local.isdigit():
        return local
    return "".join("#" if CHANGING.fullmatch(token) else token for token in TOKENS.split(UUID.sub("#", local)))
