"""Which senders and recipients this host takes (qmail-smtpd(8): badmailfrom, rcpthosts, morercpthosts.cdb)."""

from qmailfork.conversation.settings import Settings
from qmailfork.smtp import address


def bad_sender(settings: Settings, sender: bytes) -> bytes:
    """How `sender` stands in badmailfrom: `@` itself or its domain, empty not at all."""
    if settings.bad_senders:
        lowered = sender.lower()
        if lowered in settings.bad_senders:
            return b"@"
        if b"@" in lowered and b"@" + address.domain(lowered) in settings.bad_senders:
            return b"@"
    return b""


def is_local(settings: Settings, recipient: bytes) -> bool:
    """True where rcpthosts lets mail for `recipient` in; an address without @ always.

    Raises ControlFault where morercpthosts.cdb cannot be read.
    """
    if settings.rcpthosts is None or b"@" not in recipient:
        return True
    domain = address.domain(recipient).lower()
    names = [domain, *(domain[at:] for at in range(len(domain)) if domain[at] == ord("."))]
    if not settings.rcpthosts.isdisjoint(names):
        return True
    return settings.more_rcpthosts is not None and any(map(settings.more_rcpthosts, names))


def localized(settings: Settings, recipient: bytes) -> bytes:
    """`recipient` with an address literal of this host replaced by localiphost.

    Raises address.SyntaxFault for a literal that is none, or an address that is too long.
    """
    if settings.local_host is not None:
        ip = address.literal(recipient)
        if ip and settings.is_mine(ip):
            recipient = recipient[: recipient.rindex(b"@") + 1] + settings.local_host
    if len(recipient) > address.LONGEST:
        raise address.SyntaxFault
    return recipient
