"""What is wrong with spamcontrol's switches and the control files that go with them."""

from collections.abc import Iterator, Mapping

from qmailfork.cli import words
from qmailfork.cli.checks import lists
from qmailfork.cli.finding import ERROR, WARNING, Finding
from qmailfork.conversation import owning
from qmailfork.conversation.settings import ControlFault
from qmailfork.conversation.switches import Switches
from qmailfork.programs import recipients
from qmailfork.system import config

RECIPIENTS = "control/recipients"


def findings(controls: config.Controls, environment: Mapping[bytes, bytes]) -> Iterator[Finding]:
    """All that is wrong with the switches, under these controls and this environment."""
    switches = config.settings(controls, environment).switches
    if switches is None:
        return
    if switches.check_name in (b"", b".") and switches.bad_names is None:
        what, why = "there is no control/badhelo to look into", "no client's name is refused by it"
        yield Finding(WARNING, "HELOCHECK", what, why, "list names that are not good")
    if switches.own_senders == owning.BY_RULES:
        yield from _database("LOCALMFCHECK", switches, owning.RULES)
    if switches.recipients is not None:
        yield from _recipients(switches, switches.recipients)


def _recipients(switches: Switches, known: recipients.Recipients) -> Iterator[Finding]:
    if not known.rules:
        why = "no recipient exists, and all are refused"
        yield Finding(ERROR, RECIPIENTS, "it is empty", why, "name a cdb, or take the file away")
    for rule in known.rules:
        if rule.kind == recipients.CDB:
            yield from _database(RECIPIENTS, switches, rule.source)
        elif rule.kind == recipients.PROGRAM:
            yield from lists.program(RECIPIENTS, (rule.argv or [b""])[0])


def _database(where: str, switches: Switches, path: bytes) -> Iterator[Finding]:
    try:
        switches.get(path, b"")
    except ControlFault as fault:
        mend = f"compile {words.shown(path)}; the path begins at qmail's home"
        yield Finding(ERROR, where, str(fault), "clients are told 421", mend)
