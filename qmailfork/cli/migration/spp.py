"""qmail-spp's control/smtpplugins (qmail-spp's documentation): sections in brackets, a plugin on each line."""

from qmailfork.cli.migration import sources
from qmailfork.cli.migration.plan import Plan

SECTIONS = ("connection", "auth", "helo", "mail", "rcpt", "data")
RCPT = "rcpt"


def read(plan: Plan, path: str) -> None:
    """Take in the plugins for RCPT. Raises Unreadable."""
    section = ""
    for line in sources.lines(path):
        if line.text.startswith("["):
            section = line.text.strip("[]").strip().lower()
            if section not in SECTIONS:
                plan.absent(line.where, line.text, "qmail-spp has no such section")
        elif section == RCPT:
            _plugin(plan, line)
        elif section in SECTIONS:
            plan.absent(line.where, line.text, f"plugins are asked at RCPT, none at {section.upper()}")
        else:
            plan.absent(line.where, line.text, "it stands in no section of qmail-spp")


def _plugin(plan: Plan, line: sources.Line) -> None:
    command = line.text.startswith(":")
    if "," in line.text:
        plan.absent(line.where, line.text, "a comma cannot stand in a list of checkers: put it into a script")
    elif not command and len(line.text.split()) > 1:
        plan.absent(line.where, line.text, "a blank cannot stand in a checker's path: rename it")
    elif line.text.strip(": "):
        plan.plugins.append(f"spp:{line.text}")
