"""vpopmail's domains: virtualdomains, users/cdb, the domain's directory with its vpasswd and .qmail files."""

from __future__ import annotations

from xfvchkuser import delivery, owners, routing
from xfvchkuser.answers import FOREIGN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xfvchkuser.site import Recipient, Site


def exists(recipient: Recipient, _argument: str, site: Site) -> int:
    """Say whether the address is an account, an alias, a list or a catch-all's of its vpopmail domain."""
    local = routing.local_part(site, recipient)
    owner = owners.assigned(site, local) if local else None
    if owner is None or not delivery.is_vpopmail(owner):
        return FOREIGN
    return delivery.outcome(owner, site)
