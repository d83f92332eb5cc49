"""The system's users, their extensions, and ~alias: every address delivered here that is not vpopmail's."""

from __future__ import annotations

from xfvchkuser import delivery, owners, routing
from xfvchkuser.answers import FOREIGN, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xfvchkuser.site import Recipient, Site


def exists(recipient: Recipient, _argument: str, site: Site) -> int:
    """Say whether qmail-lspawn(8) and qmail-local(8) would deliver the address."""
    local = routing.local_part(site, recipient)
    if local is None:
        return FOREIGN
    if not local:
        return YES  # qmail-lspawn's trash address
    owner = owners.assigned(site, local)
    if owner is None:
        return delivery.outcome(owners.account(local), site)
    return FOREIGN if delivery.is_vpopmail(owner) else delivery.outcome(owner, site)
