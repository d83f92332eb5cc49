"""spamdyke's options that have one value, or that hang together."""

from collections.abc import Callable

from qmailfork.cli.migration import spamdykelists
from qmailfork.cli.migration.plan import Plan
from qmailfork.cli.migration.sources import Line
from qmailfork.cli.migration.spamdykewords import LACKING

OFF = ("no", "false", "0")
LONGEST_DELAY = 300  # seconds: GREETDELAY's limit
KEPT = 3110400  # seconds: SOFTFAIL_KEEP's default
Taker = Callable[[Plan, str, Line], None]
# option → value → what it comes to: a variable and its value, None for nothing
LEVELS: dict[str, dict[str, tuple[str, str] | None]] = {
    "tls-level": {"none": ("DISABLETLS", "1"), "smtp": None, "smtps": ("SMTPS", "1")},
    "filter-level": {"normal": None, "require-auth": ("REQUIREAUTH", "1"), "allow-all": None, "reject-all": None},
    "relay-level": {"normal": None, "no-check": None},
    "dns-level": {"normal": None, "aggressive": None},
}  # fmt: skip


def _number(use: Callable[[Plan, str, Line, int], None]) -> Taker:
    """An option whose value is a number; 0 turns it off."""

    def taker(plan: Plan, what: str, value: Line) -> None:
        if not (value.text.isascii() and value.text.isdigit() and len(value.text) <= 9):
            plan.absent(value.where, what, "this is no number")
        elif int(value.text):
            use(plan, what, value, int(value.text))

    return taker


def _delay(plan: Plan, what: str, value: Line, number: int) -> None:
    plan.filters["GREETDELAY"] = str(min(number, LONGEST_DELAY))
    if number > LONGEST_DELAY:
        plan.differs(value.where, what, f"GREETDELAY has at most {LONGEST_DELAY} seconds")


def _recipients(plan: Plan, what: str, value: Line, number: int) -> None:
    plan.filters["MAXRECIPIENTS"] = str(number)
    plan.differs(value.where, what, "MAXRECIPIENTS counts those of a message, not of a connection")


def _idle(plan: Plan, what: str, value: Line, number: int) -> None:
    plan.control["timeoutsmtpd"] = [str(number)]


def _dns_time(plan: Plan, what: str, value: Line, number: int) -> None:
    plan.env["DNSBL_TIMEOUT"] = str(number)


def _nameserver(plan: Plan, what: str, value: Line) -> None:
    plan.add("XF_NAMESERVER", value.text)


def _variable(name: str) -> Taker:
    def taker(plan: Plan, what: str, value: Line) -> None:
        plan.env[name] = value.text

    return taker


def _level(plan: Plan, what: str, value: Line) -> None:
    found = LEVELS[what.partition("=")[0]]
    if value.text not in found:
        plan.absent(value.where, what, "there is no such level here")
        return
    plan.closed = plan.closed or value.text == "reject-all"
    plan.open = plan.open or value.text == "allow-all"
    wanted = found[value.text]
    if wanted:
        plan.env[wanted[0]] = wanted[1]


def _unnamed(plan: Plan, what: str, value: Line) -> None:
    if value.text.lower() not in OFF:
        plan.named = plan.unnamed_denied = True
        plan.differs(value.where, what, "tcpserver closes the connection, and does so while DNS has no answer, too")


def _sender_domain(plan: Plan, what: str, value: Line) -> None:
    if value.text.lower() not in OFF:
        plan.filters["MFDNSCHECK"] = ""


def _local_file(plan: Plan, what: str, value: Line) -> None:
    if value.text.rpartition("/")[2] not in ("rcpthosts", "morercpthosts.cdb"):
        plan.differs(value.where, what, "control/rcpthosts and morercpthosts.cdb say which domains are local")


OPTIONS: dict[str, Taker] = {
    "greeting-delay-secs": _number(_delay),
    "max-recipients": _number(_recipients),
    "idle-timeout-secs": _number(_idle),
    "dns-timeout-secs": _number(_dns_time),
    "dns-server-ip": _nameserver,
    "dns-server-ip-primary": _nameserver,
    "tls-certificate-file": _variable("CERTFILE"),
    "tls-privatekey-file": _variable("KEYFILE"),
    "tls-cipher-list": _variable("CIPHERS"),
    "tls-dhparams-file": _variable("DHFILE"),
    **dict.fromkeys(LEVELS, _level),
    "reject-empty-rdns": _unnamed,
    "reject-missing-sender-mx": _sender_domain,
    "local-domains-file": _local_file,
    "qmail-rcpthosts-file": _local_file,
    "qmail-morercpthosts-cdb": _local_file,
    "access-file": spamdykelists.access,
}


def reject(plan: Plan, name: str, value: Line) -> None:
    """reject-sender and reject-recipient of version 5."""
    what = f"{name}={value.text}"
    if value.text == "no-mx" and name == "reject-sender":
        plan.filters["MFDNSCHECK"] = ""
    elif value.text == "invalid" and name == "reject-recipient":
        plan.checkers.add("vchkuser")
        plan.differs(value.where, what, "vchkuser asks by itself, as VCHKUSER_SOURCES says: see vchkuser(8)")
    elif value.text.startswith("authentication-"):
        plan.absent(value.where, what, "LOCALMFCHECK (qmailfork-control(5)) comes near: it holds for all who relay")
    elif value.text != "none":
        plan.absent(value.where, what, LACKING["reject-identical-sender-recipient"])


def greylist(plan: Plan, options: dict[str, list[Line]]) -> None:
    """graylist-level and what belongs to it; without graylist-dir nothing is greylisted."""
    levels = options.get("graylist-level")
    if not levels or levels[-1].text == "none" or not options.get("graylist-dir"):
        plan.excepted.clear()
        return
    level = levels[-1]
    what = f"graylist-level={level.text}"
    if level.text.removesuffix("-create-dir") not in ("always", "only"):
        plan.absent(level.where, what, "there is no such level here")
        return
    plan.checkers.add("softfail")
    plan.only = level.text.startswith("only")
    if not level.text.endswith("-create-dir"):
        plan.absent(level.where, what, "softfail takes all domains, not those alone that have a directory")
    plan.differs(level.where, what, "softfail begins without what spamdyke has seen; it knows networks of clients")
    least, most = (options.get(f"graylist-{name}-secs", [Line("0", "")])[-1] for name in ("min", "max"))
    for limit in (least, most):
        if not (limit.text.isascii() and limit.text.isdigit()):
            plan.absent(limit.where, limit.text, "this is no number")
            return
    plan.env["UNBLOCK_AFTER_SEEN"] = str(max(int(least.text), 1))
    if int(most.text):
        plan.env["SOFTFAIL_KEEP"] = most.text
    else:
        plan.differs(level.where, what, f"softfail forgets what was not used for {KEPT // 86400} days")


def authentication(plan: Plan, options: dict[str, list[Line]]) -> None:
    """smtp-auth-command and smtp-auth-level."""
    commands, levels = options.get("smtp-auth-command", []), options.get("smtp-auth-level", [])
    level = levels[-1].text if levels else "ondemand"
    if not commands or level in ("none", "observe"):
        return
    plan.env["SMTPAUTH"] = "+cram" if level.endswith("-encrypted") else ""
    plan.env["QMAILFORK_CHECKPASSWORD"] = commands[0].text
    plan.differs(commands[0].where, f"smtp-auth-command={commands[0].text}", "AUTH is offered under TLS alone")
    for more in commands[1:]:
        plan.absent(more.where, f"smtp-auth-command={more.text}", "one program is asked")
