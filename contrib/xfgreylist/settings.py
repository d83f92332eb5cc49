"""softfail's variables. softfail(8) says what each means."""

from __future__ import annotations

import xfkit

from xfgreylist import stores
from xfgreylist.policy import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Settings:
    """What the environment says, read once for each check. seconds: what a store may take at most."""

    __slots__ = ("bits4", "bits6", "down", "limits", "seconds", "spf", "spf_seconds", "store")

    def __init__(self, env: Mapping[str, str]) -> None:
        self.store = stores.address(env)
        self.seconds = seconds(env)
        self.down = xfkit.choice(env, "SOFTFAIL_DOWN", ("pass", "defer"), "pass")
        self.bits4 = xfkit.number(env, "SOFTFAIL_IPV4", 24, 8, 32)
        self.bits6 = xfkit.number(env, "SOFTFAIL_IPV6", 64, 16, 128)
        self.spf = xfkit.number(env, "SOFTFAIL_SPF", 0, 0, 1)
        self.spf_seconds = xfkit.number(env, "SOFTFAIL_SPF_TIMEOUT", 5, 1, 20)
        self.limits = limits(env)


def seconds(env: Mapping[str, str]) -> float:
    """Return how long a store may take, in seconds, from SOFTFAIL_TIMEOUT in milliseconds."""
    return xfkit.number(env, "SOFTFAIL_TIMEOUT", 900, 10, 600_000) / 1000


def limits(env: Mapping[str, str]) -> Limits:
    """Return the numbers of the policy."""
    usual = Limits()
    found = Limits(
        unblock=xfkit.number(env, "UNBLOCK_AFTER_SEEN", usual.unblock),
        seen=xfkit.number(env, "RFCSEENTIME", usual.seen),
        insist=xfkit.number(env, "SEENCONSECMAX", usual.insist),
        block=xfkit.number(env, "SOFTFAIL_BLOCK", usual.block, 1),
        retry=xfkit.number(env, "SOFTFAIL_RETRY", usual.retry, 1),
        keep=xfkit.number(env, "SOFTFAIL_KEEP", usual.keep, 1),
        white_client=xfkit.number(env, "SOFTFAIL_WHITE_CLIENT", usual.white_client),
        white_domain=xfkit.number(env, "SOFTFAIL_WHITE_DOMAIN", usual.white_domain),
    )
    if found.retry <= found.unblock:  # a triplet would be dead before it is ripe, and nothing would ever pass
        text = f"SOFTFAIL_RETRY={found.retry} is not more than UNBLOCK_AFTER_SEEN={found.unblock}"
        found.retry = found.unblock + usual.retry
        xfkit.log("softfail", f"{text}, taking {found.retry}")
    return found
