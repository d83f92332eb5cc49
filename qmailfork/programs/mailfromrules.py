"""control/mailfromrules.cdb: which senders a relay client may have (spamcontrol's qmail-mfrules(8)).

The cdb goes from a client's user, address or name, as tcprules has them, to its senders, each behind a `+`: the ends
that an address may have. Without any, every sender is the client's.
"""

from qmailfork.programs.addresses import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def _addresses(ip: bytes, host: bytes, info: bytes | None) -> "Iterable[bytes]":
    """What a client may stand under, in the order in which it is looked for."""
    named = host != UNKNOWN
    if info is not None:
        yield from (info, b"%b@%b" % (info, ip))
        if named:
            yield b"%b@=%b" % (info, host)
    yield ip
    if named:
        yield b"=" + host
    yield from (ip[:end] for end in range(len(ip) - 1, 0, -1) if ip[end - 1] == ord("."))
    if named:
        yield from (b"=" + host[at:] for at in range(len(host)) if host[at] == ord("."))
        yield b"="


def allow(get: "Callable[[bytes], bytes | None]", ip: bytes, host: bytes, info: bytes | None, sender: bytes) -> bool:
    """Whether the client may have this `sender`: the first address that `get` finds in the cdb decides."""
    for name in _addresses(ip, host, info):
        senders = get(name.lower())
        if senders is not None:
            return not senders or any(map(sender.lower().endswith, filter(None, senders.split(b"+"))))
    return False
