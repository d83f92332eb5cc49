"""LOCALMFCHECK: whether a relay client has the sender that it gives (spamcontrol's Mail Address Verification)."""

from qmailfork.conversation import policy
from qmailfork.conversation.session import Session
from qmailfork.conversation.switches import Switches
from qmailfork.programs import mailfromrules
from qmailfork.smtp import address

RULES = b"control/mailfromrules.cdb"
BY_RULES, BY_USER, BY_CERTIFICATE = b"!", b"=", b"?"  # LOCALMFCHECK's words; any other is a domain


def owns(session: Session, switches: Switches, word: bytes) -> bool:
    """Whether the session's client has its sender, as the `word` of LOCALMFCHECK says. Raises ControlFault."""
    sender = session.sender.lower()
    user = session.variables.get(b"TCPREMOTEINFO") or session.peer.info
    if word == BY_RULES:
        peer = session.peer
        return mailfromrules.allow(lambda key: switches.get(RULES, key), peer.ip, peer.host, user, sender)
    if word == BY_USER:
        return user is not None and sender == user.lower()
    if word == BY_CERTIFICATE:
        facts = {**session.settings.checkers.environment, **session.variables}
        return sender == (facts.get(b"SSL_CLIENT_S_DN_Email") or b"").lower()
    if word and address.domain(sender) == word.lower():
        return True
    return b"@" in sender and policy.is_local(session.settings, sender)
