"""Lists in the DNS, in the words of dnsbl(8)."""

from qmailfork.cli.migration.addresses import NAME
from qmailfork.cli.migration.plan import Plan

WHITE = ("DNSWL",)
HEAVIEST = 1000  # dnsbl's largest weight


def take(plan: Plan, variable: str, zone: str, good: bool = False) -> bool:
    """One more list; `good` where a listing speaks for the client. False where `zone` is no name."""
    if not NAME.fullmatch(zone) or zone.startswith("."):
        return False
    plan.checkers.add("dnsbl")
    good = good or variable in WHITE
    plan.add(variable, f"{zone}*{'-' if good and variable not in WHITE else ''}{HEAVIEST}" if good else zone)
    return True
