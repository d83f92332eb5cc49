"""What qmail-local(8) would make of an address: deliver it, or say that there is no such mailbox."""

from __future__ import annotations

from xfvchkuser import accounts, dotqmail
from xfvchkuser.answers import NO, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xfvchkuser.owners import Owner
    from xfvchkuser.site import Site


def outcome(owner: Owner, site: Site) -> int:
    """Return YES or NO by owner's .qmail files and, where they hand over to vdelivermail, the accounts."""
    text = dotqmail.read(owner)
    if text is None:
        return NO if owner.dash else YES  # a user needs no .qmail, an extension does
    meaning = dotqmail.meaning(text)
    if meaning == dotqmail.MAILBOX:
        return accounts.answer(owner.home, owner.ext, site.breaks, NO)
    if meaning == dotqmail.CATCHALL:
        return accounts.answer(owner.home, owner.ext, site.breaks, YES)
    return NO if meaning == dotqmail.BOUNCES else YES


def is_vpopmail(owner: Owner) -> bool:
    """Say whether owner's directory is a vpopmail domain: it has accounts, or hands over to vdelivermail."""
    if not owner.dash:
        return False
    if accounts.kept(owner.home):
        return True
    text = dotqmail.default(owner)
    return text is not None and dotqmail.meaning(text) in (dotqmail.MAILBOX, dotqmail.CATCHALL)
