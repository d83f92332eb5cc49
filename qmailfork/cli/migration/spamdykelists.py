"""spamdyke's lists: entries in its configuration, or in files that it names."""

from collections.abc import Callable

from qmailfork.cli.migration import addresses, dnslists, sources, tcprules
from qmailfork.cli.migration.plan import Plan
from qmailfork.cli.migration.sources import Line
from qmailfork.programs.patterns import is_plain

Taker = Callable[[Plan, str, Line], None]  # the option in words, and the entry


def take(plan: Plan, stem: str, name: str, value: Line, is_file: bool) -> None:
    """One value of the option `name`: an entry, or a file of entries. Raises Unreadable."""
    for line in sources.lines(value.text) if is_file else [value]:
        try:
            LISTS[stem](plan, f"{name}: {line.text}" if is_file else f"{name}={line.text}", line)
        except addresses.Unclear:
            plan.absent(line.where, f"{name}: {line.text}", "this is no entry of such a list")


def _ip(attribute: str) -> Taker:
    def taker(plan: Plan, what: str, line: Line) -> None:
        getattr(plan, attribute).update(addresses.of_ip(line.text))

    return taker


def _name(attribute: str) -> Taker:
    def taker(plan: Plan, what: str, line: Line) -> None:
        getattr(plan, attribute).update(addresses.of_name(line.text))
        plan.named = True

    return taker


def _mail(line: Line) -> list[str]:
    """The lines of badmailfrom or badrcptto for an address, or for a domain and all below it. Raises Unclear."""
    text = line.text
    local, at, domain = text.rpartition("@")
    if not at or not addresses.NAME.fullmatch(domain) or not is_plain(text.encode(errors="surrogateescape")):
        raise addresses.Unclear(text)
    if text[0] in "!?~" or any(sign <= " " for sign in text):
        raise addresses.Unclear(text)
    return [text] if local else [text, f"*{text[:1]}*.{domain}"]


def _bad(control: str) -> Taker:
    def taker(plan: Plan, what: str, line: Line) -> None:
        for each in _mail(line):
            plan.line(control, each)

    return taker


def _good_sender(plan: Plan, what: str, line: Line) -> None:
    plan.line("badmailfrom", f"?{_mail(line)[0]}")
    plan.absent(line.where, what, "badmailfrom and MFDNSCHECK pass over this sender now, but no checker does")


def _dns(*variables: str, good: bool = False) -> Taker:
    def taker(plan: Plan, what: str, line: Line) -> None:
        if not all(dnslists.take(plan, variable, line.text, good) for variable in variables):
            raise addresses.Unclear(line.text)
        if good:
            plan.differs(line.where, what, "who is listed passes dnsbl, and meets the other filters")

    return taker


def _lacking(words: str) -> Taker:
    def taker(plan: Plan, what: str, line: Line) -> None:
        plan.absent(line.where, what, words)

    return taker


def _domains(plan: Plan, what: str, line: Line) -> None:
    plan.differs(line.where, what, "control/rcpthosts alone says which domains are local")


KEYWORD = "no checker looks for an address in a name: write one (qmailfork-checker(7))"
LISTS: dict[str, Taker] = {
    "ip-blacklist": _ip("black"),
    "ip-whitelist": _ip("white"),
    "ip-relay": _ip("relays"),
    "graylist-exception-ip": _ip("excepted"),
    "rdns-blacklist": _name("black"),
    "rdns-whitelist": _name("white"),
    "rdns-relay": _name("relays"),
    "graylist-exception-rdns": _name("excepted"),
    "sender-blacklist": _bad("badmailfrom"),
    "sender-whitelist": _good_sender,
    "recipient-blacklist": _bad("badrcptto"),
    "recipient-whitelist": _lacking("no recipient is spared the checkers"),
    "dns-blacklist": _dns("DNSBL"),
    "dns-whitelist": _dns("DNSWL", good=True),
    "rhs-blacklist": _dns("RHSBL_SENDER", "RHSBL_CLIENT"),
    "rhs-whitelist": _dns("RHSBL_SENDER", "RHSBL_CLIENT", good=True),
    "ip-in-rdns-keyword-blacklist": _lacking(KEYWORD),
    "ip-in-rdns-keyword-whitelist": _lacking(KEYWORD),
    "header-blacklist": _lacking("checkers see no message: a program in QMAILQUEUE's place does"),
    "local-domains": _domains,
}


def access(plan: Plan, what: str, line: Line) -> None:
    """access-file: rules as tcprules has them."""
    tcprules.read(plan, line.text)
