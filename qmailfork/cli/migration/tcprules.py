"""tcprules' source (tcprules(1)), and spamdyke's access-file, which has the same form."""

from qmailfork.cli.migration import addresses, sources
from qmailfork.cli.migration.plan import Plan
from qmailfork.cli.words import shown

_CONTENT = "checkers see no message: a program in QMAILQUEUE's place does"
LACKING = {  # how a variable's name begins → why it has no equal
    "QHPSI": _CONTENT,
    "BADMIMETYPE": _CONTENT,
    "BADLOADERTYPE": _CONTENT,
    "REPLY_CONTENT": _CONTENT,
    "CHKUSER_": "vchkuser(8) is the checker for that: put it into SMTPEXTFORK",
}


def read(plan: Plan, path: str) -> None:
    """Take in the rules; of two for one address the first counts. Raises Unreadable."""
    for line in sources.lines(path):
        address, colon, rest = line.text.partition(":")
        word, _, given = rest.partition(",")
        word = word.strip().lower()
        variables = _variables(given)
        if not colon or not word or not ("allow".startswith(word) or "deny".startswith(word)) or variables is None:
            plan.absent(line.where, shown(line.text.encode(errors="surrogateescape")), "tcprules does not take it")
            continue
        try:
            found = addresses.of_ip(address) if "/" in address else addresses.of_rule(address)
        except addresses.Unclear:
            plan.absent(line.where, address, "this is no address")
            continue
        if variables and "allow".startswith(word):
            _look_at(plan, line.where, variables)
        for each in found:
            plan.known.setdefault(each, variables if "allow".startswith(word) else None)


def _look_at(plan: Plan, where: str, variables: dict[str, str]) -> None:
    """Variables that other patches and programs read."""
    if variables.get("RBLSMTPD"):
        plan.blocked.append(where)
    if asks_spf(variables):
        plan.checkers.add("xf-spf")
    for name, value in variables.items():
        words = next((words for begin, words in LACKING.items() if name.startswith(begin)), "")
        if words:
            plan.absent(where, f'{name}="{value}"', words)


def asks_spf(variables: dict[str, str]) -> bool:
    """Whether a rule turns the SPF patch on, and no checker of its own does that already."""
    return variables.get("SPFBEHAVIOR", "0") not in ("", "0") and "xf-spf" not in variables.get("SMTPEXTFORK", "")


def _variables(text: str) -> dict[str, str] | None:
    """NAME="VALUE", with commas between them; any octet may stand in the place of the quote. None: it is wrong."""
    found: dict[str, str] = {}
    while text:
        name, equals, text = text.partition("=")
        value, closed, text = text[1:].partition(text[:1]) if text else ("", "", "")
        if not equals or not name or not closed or (text and not text.startswith(",")):
            return None
        found[name] = value
        text = text[1:]
    return found


def written(address: str, variables: dict[str, str] | None) -> str:
    """A rule as a line; without variables for None: deny."""
    if variables is None:
        return f"{address}:deny"
    pairs = (f",{name}={_quoted(value)}" for name, value in variables.items())
    return f"{address}:allow{''.join(pairs)}"


def _quoted(value: str) -> str:
    quote = next(sign for sign in "\"'/|%+~^!#" + "".join(map(chr, range(33, 127))) if sign not in value)
    return f"{quote}{value}{quote}"
