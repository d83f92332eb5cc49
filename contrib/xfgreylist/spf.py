"""Which domain vouches for this client and sender? SPF (RFC 7208), asked with pyspf for an unknown triplet only."""

from __future__ import annotations

import dns.resolver
import spf  # type: ignore[import-untyped]  # pyspf ships no types
from xfkit import resolver

from xfgreylist import keys
from xfgreylist.deadline import within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def authenticated(env: Mapping[str, str], seconds: float) -> str:
    """Return the sender's domain (the HELO name's for the null sender) if SPF passes, else an empty string.

    Any trouble, and no answer within seconds, is no pass.
    """
    address, sender, helo = env["TCPREMOTEIP"], env.get("REMOTEMF", ""), env.get("REMOTEHELO", "")
    if env.get("XF_NAMESERVER"):
        dns.resolver.default_resolver = _asking(resolver.servers(env))
    try:
        result, _ = within(seconds, lambda: spf.check2(address, sender, helo, querytime=seconds))
    except Exception:  # pyspf meets any input of a stranger's zone; what fails is not authenticated
        return ""
    return keys.domain_word(sender if sender else f"postmaster@{helo}") if result == "pass" else ""


def _asking(servers: list[resolver.Server]) -> dns.resolver.Resolver:
    chosen = dns.resolver.Resolver(configure=False)
    chosen.nameservers = [address for address, _ in servers]
    chosen.nameserver_ports = dict(servers)
    return chosen
