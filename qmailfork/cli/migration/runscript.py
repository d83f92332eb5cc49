"""Run scripts: rblsmtpd(1)'s options, and the file that spamdyke is given."""

import getopt
import os

from qmailfork.cli.checks.shell import Script
from qmailfork.cli.migration import dnslists, sources, spamdyke
from qmailfork.cli.migration.plan import Plan

REPLIES = {"-b": "553", "-B": "451"}


def read(plan: Plan, path: str) -> None:
    """Take in what the script's programs are told. Raises Unreadable."""
    words = Script(sources.text(path)).words
    names = [os.path.basename(word) for word in words]
    for at, name in enumerate(names):
        if name == "rblsmtpd":
            _rblsmtpd(plan, path, words[at + 1 :])
        elif name == "spamdyke":
            _spamdyke(plan, path, words[at + 1 :])
    if not {"rblsmtpd", "spamdyke"} & set(names):
        raise sources.Unreadable(f"{path}: neither rblsmtpd nor spamdyke is run in it")


def _rblsmtpd(plan: Plan, path: str, words: list[str]) -> None:
    try:
        given, _ = getopt.getopt(words, "a:r:t:bBcC")
    except getopt.GetoptError as fault:
        plan.absent(path, "rblsmtpd", str(fault))
        return
    if not any(option == "-r" for option, _ in given):
        plan.absent(path, "rblsmtpd", "without -r it asks a list that is gone")
    last = dict(given)
    order = [option for option, _ in given]
    _lists(plan, path, given)
    closed = [option for option in order if option in ("-c", "-C")]
    if closed and closed[-1] == "-c":
        plan.env["DNSBL_TROUBLE"] = "defer"
    reply = [option for option in order if option in REPLIES] or ["-B"]
    if "dnsbl" in plan.checkers:
        plan.rblsmtpd, plan.refusal = path, REPLIES[reply[-1]]
    if last.get("-t"):
        plan.differs(path, f"rblsmtpd -t {last['-t']}", "who is listed is refused at RCPT, in a session like any other")


def _lists(plan: Plan, path: str, given: list[tuple[str, str]]) -> None:
    for option, value in given:
        if option not in ("-r", "-a"):
            continue
        zone, colon, _ = value.partition(":")
        if not dnslists.take(plan, "DNSBL" if option == "-r" else "DNSWL", zone):
            plan.absent(path, f"rblsmtpd {option} {value}", "this is no name of a list")
        elif colon:
            plan.differs(path, f"rblsmtpd {option} {value}", "the reply has the list's own text")


def _spamdyke(plan: Plan, path: str, words: list[str]) -> None:
    """-f FILE, --config-file FILE, --config-file=FILE."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "--":
        name, equals, value = words[at].partition("=")
        at += 1
        if name not in ("-f", "--config-file"):
            plan.absent(path, words[at - 1], "only what stands in spamdyke's file is read: write it there")
        if not equals and at < len(words) and not words[at].startswith(("-", "/var/qmail/bin/")):
            value = words[at]
            at += 1
        if name in ("-f", "--config-file"):
            spamdyke.read(plan, value)
