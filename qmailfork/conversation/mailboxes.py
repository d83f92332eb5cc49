"""control/recipients: whether a recipient exists, as its cdbs and programs say (programs/recipients.py)."""

from qmailfork.conversation.requests import Entrust
from qmailfork.conversation.session import Session
from qmailfork.conversation.switches import Switches
from qmailfork.programs import recipients
from qmailfork.programs.outcome import EXITED
from qmailfork.programs.recipients import Recipients, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.requests import Asking

TEMPORARY = 111  # a program's exit code


class Trouble(Exception):
    """The `program` does not tell."""

    def __init__(self, program: bytes) -> None:
        self.program = program


def find(session: Session, switches: Switches, known: Recipients, recipient: bytes) -> "Asking[bytes]":
    """The log's condition for a recipient that exists, empty where it does not. Raises Trouble, ControlFault."""
    for rule in known.sources(recipient):
        if rule.kind == recipients.PROGRAM:
            found = yield from _ask(session, rule, recipient)
        elif rule.kind == recipients.CDB:
            found = any(switches.get(rule.source, key) is not None for key in recipients.keys(recipient))
        else:
            found = True
        if found:
            return recipients.LISTED[rule.kind]
    return b""


def _ask(session: Session, rule: Rule, recipient: bytes) -> "Asking[bool]":
    """Whether the rule's program knows the recipient, or what it is an extension of."""
    if not rule.argv:
        raise Trouble(b"|")
    for name in recipients.names(recipient):
        secret = name + b"\0\0\0"
        if len(secret) > Entrust.MOST:
            continue
        outcome = yield Entrust(rule.argv, session.variables, session.settings.checkers.seconds, secret)
        if outcome.how != EXITED or outcome.code == TEMPORARY:
            raise Trouble(rule.argv[0])
        if outcome.code == 0:
            return True
    return False
