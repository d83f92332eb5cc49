"""Addresses without the part that changes from message to message.

A list or a bounce-proof sender writes a number, a hash or the recipient into its envelope address, so that each
message would be a new triplet for ever. What is left here is the same for every message of that sender. The forms:

    prvs=TAG=local, msprvs1=TAG=local     BATV, draft-levine-smtp-batv
    btv1==TAG==local                      Barracuda's
    SRS0=HASH=DAY=domain=local            SRS; + and - may stand for the first =; www.libsrs2.net/srs/srs.pdf
    SRS1=HASH=forwarder==HASH=DAY=domain=local
    list-return-17-user=example.org       VERP, cr.yp.to/proto/verp.txt: the recipient goes, the number becomes #

All without `re`, whose import alone would be a quarter of what a forked check may cost.
"""

from __future__ import annotations

SEPARATORS = "-+_.=/"
HEX = set("0123456789abcdef")
ALNUM = HEX | set("ghijklmnopqrstuvwxyz")
DIGITS = set("0123456789")
UUID = [8, 4, 4, 4, 12]  # hexadecimal digits, RFC 9562 section 4


def steady(local: str) -> str:
    """Return the local part (in lower case) without its changing part; a plain address comes back as it is."""
    if "=" in local:
        scheme, _, rest = local.partition("=")
        if scheme in ("prvs", "msprvs1") and "=" in rest:
            return steady(rest.partition("=")[2])
        if local.startswith("btv1==") and local.count("==") > 1:
            return steady(local.split("==", 2)[2])
        if local[:4] in ("srs0", "srs1") and local[4] in "=+-":
            return _srs(local)
        local = _without_recipient(local)
    return _numbers(local)


def _srs(local: str) -> str:
    """Return the address without hashes and day; one that is not whole comes back as it is."""
    scheme, fields = local[:4], local[5:].split("=", 2)
    if len(fields) < 3:
        return local
    if scheme == "srs0":
        return f"srs0={fields[2]}"
    inner = fields[2][1:].split("=", 2)
    return f"srs1={fields[1]}={inner[2]}" if len(inner) == 3 else local


def _without_recipient(local: str) -> str:
    """Cut off `-user=domain` or `+user=domain`."""
    head = local.rpartition("=")[0]
    cut = max(head.rfind("-"), head.rfind("+"))
    return local[:cut] if cut > 0 else local


def _numbers(local: str) -> str:
    """Put `#` for each changing token; an address that is one number only is somebody's own."""
    if local.isdigit() or DIGITS.isdisjoint(local):
        return local
    tokens = _tokens(local)
    for start in range(0, len(tokens) - 8, 2):
        if _is_uuid(tokens[start : start + 9]):
            tokens[start : start + 9] = ["#", "", "", "", "", "", "", "", ""]
    return "".join("#" if _changes(token) else token for token in tokens)


def _tokens(local: str) -> list[str]:
    """Return tokens and the separators between them, in turn; a token may be empty."""
    found = [""]
    for mark in local:
        if mark in SEPARATORS:
            found += [mark, ""]
        else:
            found[-1] += mark
    return found


def _is_uuid(tokens: list[str]) -> bool:
    words = tokens[::2]
    return [len(word) for word in words] == UUID and HEX.issuperset("".join(words)) and set(tokens[1::2]) == {"-"}


def _changes(token: str) -> bool:
    """Say whether this is a number, or letters and digits too long or too hexadecimal to be a name."""
    marks = set(token)
    if not marks & DIGITS:
        return False
    if marks <= DIGITS or (len(token) >= 8 and marks <= HEX):
        return True
    return len(token) >= 16 and marks <= ALNUM and sum(mark in DIGITS for mark in token) > 1
