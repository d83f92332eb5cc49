"""A plan as files: tcp.smtp, env/ and control/."""

from qmailfork.cli.migration import addresses, tcprules
from qmailfork.cli.migration.plan import CHECKERS, Plan
from qmailfork.cli.services.settings import File

RELAY = "RELAYCLIENT"
Variables = dict[str, str]


def files(plan: Plan, place: str) -> dict[str, File]:
    """The files below the directory that is written, by path; the checkers are in the directory `place`."""
    found = {f"env/{name}": f"{value}\n" for name, value in _environment(plan).items()}
    found |= {f"control/{name}": "".join(f"{line}\n" for line in lines) for name, lines in plan.control.items()}
    rules = _rules(plan, place)
    if rules != {"": {}}:
        found["tcp.smtp"] = "".join(f"{tcprules.written(*rule)}\n" for rule in rules.items())
    return {path: (text, False) for path, text in found.items()}


def _environment(plan: Plan) -> Variables:
    """What holds for every client."""
    env = dict(plan.env)
    if plan.plugins:
        env["SMTPEXTFORK"] = ",".join(plan.plugins)
    if plan.plugins or plan.checkers:
        env["SMTPEXTFORKR"] = ",".join(plan.plugins)
    if plan.checkers:
        env["SMTPEXTFORKFAIL"] = "defer"
    if plan.checkers & {"dnsbl", "xf-spf"}:
        env["SMTPEXTFORKREPLY"] = "1"
    return env


def _rules(plan: Plan, place: str) -> dict[str, Variables | None]:
    """The rules, by address; None denies."""
    listed = {*plan.white, *plan.black, *plan.relays, *plan.excepted}
    found = {}
    for address in dict.fromkeys([*plan.known, *sorted(listed), *(["="] if plan.unnamed_denied else []), ""]):
        nearest = addresses.nearest(address, plan.known)
        given = {} if nearest is None else plan.known[nearest]
        found[address] = None if given is None else _rule(plan, place, address, given)
    if plan.unnamed_denied:
        found[""] = None
    return found


def _rule(plan: Plan, place: str, address: str, given: Variables) -> Variables | None:
    """What a client of this address gets, who had the variables `given`."""
    white = plan.open or addresses.is_among(address, plan.white)
    if plan.closed or (not white and addresses.is_among(address, plan.black)):
        return None
    blocked = given.get("RBLSMTPD") if plan.rblsmtpd else None
    if blocked:
        return None
    given = {name: value for name, value in given.items() if blocked is None or name != "RBLSMTPD"}
    if RELAY in given or addresses.is_among(address, plan.relays):
        return {**given, RELAY: given.get(RELAY, "")}
    if white:
        return given
    needless = {
        "dnsbl": blocked == "",
        "softfail": addresses.is_among(address, plan.excepted) != plan.only,
        "xf-spf": not tcprules.asks_spf(given),
    }
    names = [name for name in CHECKERS if name in plan.checkers and not needless.get(name)]
    own = given.get("SMTPEXTFORK", ",".join(plan.plugins))
    entries = ",".join(filter(None, [*(f"{place}/{name}" for name in names), own]))
    return {**plan.filters, **given, **({"SMTPEXTFORK": entries} if names else {})}
