"""`qmailfork check`: what is wrong with environment, control files and rules, before a client finds it."""

import difflib
import json
import os
import re
import resource
import sys
from collections.abc import Iterator

import click

from qmailfork.cli import screens, surroundings, words
from qmailfork.cli.finding import ERROR, WARNING, Finding
from qmailfork.cli.surroundings import text
from qmailfork.conversation.settings import ControlFault, Settings
from qmailfork.programs import checkers
from qmailfork.system import config, switches

LEAST_MEMORY = 64_000_000  # octets: qmailfork-smtpd(8)
OWN_WORDS = re.compile(rb"([45][0-9][0-9])SMTPEXTFORK|SMTPEXTFORK([45][0-9][0-9])")
OURS = re.compile(  # a name that must be meant for us
    rb"[0-9]*SMTPEXT|QMAILFORK_|XF_QUIT|REPLY_|MAXREC|LOCALMF|HELOCH|RECIPIENTS|TARPIT|GREETD|MFDNS"
)
KNOWN = (
    "SMTPEXTFORK", "SMTPEXTFORKR", "SMTPEXTFORKCODES", "SMTPEXTFORKFAIL", "SMTPEXTFORKTIMEOUT", "SMTPEXTFORKTOTAL",
    "SMTPEXTFORKHEADERS", "SMTPEXTFORKREPLY", "XF_QUITASAP", "QMAILFORK_LOG", "QMAILFORK_MAILDIR", "QMAILFORK_BLIND",
    "QMAILFORK_CHILDTIMEOUT", *map(os.fsdecode, switches.NAMES),
)  # fmt: skip


@click.command()
@click.option("--rules", "source", type=text, help="The source of the rules; its cdb is FILE.cdb.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@surroundings.options
def check(source: bytes | None, as_json: bool, env_dir: str | None, pairs: tuple[str, ...]) -> None:
    """Look for what is wrong with environment and control files, as the server would read them.

    Exit status: 0, nothing found; 1, warnings; 2, errors, or a wrong argument.
    """  # fmt: skip
    environment = surroundings.environment(env_dir, pairs)
    about_rules = list(_rules(source)) if source else []  # before qmail's home is entered
    found = list(dict.fromkeys([*findings(environment), *about_rules]))
    if as_json:
        click.echo(json.dumps([{**one._asdict(), "level": _level(one)} for one in found]))
    else:
        for one in found:
            colour = "red" if one.level == ERROR else "yellow"
            click.secho(f"{_level(one)}: {one.where}: {one.what}", fg=colour)
            click.echo(f"  {one.mend}")
        if not found:
            click.secho("nothing found", fg="green")
    sys.exit(max((one.level for one in found), default=0))


def _level(finding: Finding) -> str:
    return "error" if finding.level == ERROR else "warning"


def findings(environment: dict[bytes, bytes]) -> Iterator[Finding]:
    """All that is wrong with this environment and the control files that it leads to."""
    yield from _names(environment)
    yield from _memory()
    home = config.home(environment)
    try:
        os.chdir(home)
        controls = config.Controls(home)
    except (ControlFault, OSError) as fault:
        yield Finding(ERROR, os.fsdecode(home), f"{fault}; every client is told 421", "make it readable for the server")
        return
    if controls.rcpthosts is None:
        yield Finding(
            ERROR,
            "control/rcpthosts",
            "it is not there, and every recipient is taken: an open relay",
            "list our domains",
        )
    for name, relay in ((b"SMTPEXTFORK", {}), (b"SMTPEXTFORKR", {b"RELAYCLIENT": b""})):
        base = {key: value for key, value in environment.items() if key != b"RELAYCLIENT"}
        yield from _list(name.decode(), config.settings(controls, {**base, **relay}))
    yield from screens.findings(controls, environment)
    yield from _program("QMAILQUEUE", config.settings(controls, environment).queue)


def _names(environment: dict[bytes, bytes]) -> Iterator[Finding]:
    """Variables that look like ours and are not, with the nearest name that is."""
    for name in environment:
        shown = words.shown(name)
        if shown not in KNOWN and not OWN_WORDS.fullmatch(name) and OURS.match(name):
            near = difflib.get_close_matches(shown, KNOWN, 1)
            mend = f"did you mean {near[0]}?" if near else "take it away"
            yield Finding(WARNING, shown, "no program knows this variable", mend)


def _memory() -> Iterator[Finding]:
    for kind, name in ((resource.RLIMIT_AS, "-a"), (resource.RLIMIT_DATA, "-d")):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
            yield Finding(
                WARNING, f"softlimit {name}", f"{limit} octets are few for Python and its checkers", "give -m 80000000"
            )


def _list(name: str, settings: Settings) -> Iterator[Finding]:
    """One of the two lists of checkers, under the settings of a client that meets it."""
    contract = settings.checkers
    for complaint in contract.complaints:
        yield Finding(ERROR, words.shown(complaint), "it makes no sense and is passed over", "see qmailfork-control(5)")
    for entry in contract.entries:
        if not entry.resident:
            yield from _program(name, entry.argv[0])
    if contract.entries and not contract.environment.get(b"SMTPEXTFORKFAIL"):
        yield Finding(
            WARNING, "SMTPEXTFORKFAIL", f"a checker of {name} that fails lets the recipient pass", "set it to defer"
        )
    used = {*contract.codes.values(), *filter(None, checkers.ON_FAILURE.values())}
    for variable in contract.environment:
        match = OWN_WORDS.fullmatch(variable)
        if match and (match[1] or match[2]) not in used and name == "SMTPEXTFORK":
            yield Finding(
                WARNING, words.shown(variable), "no exit code leads to this reply code", "see SMTPEXTFORKCODES"
            )


def _program(name: str, path: bytes) -> Iterator[Finding]:
    """A program that the server would start: `path` as it stands in the variable `name`."""
    shown = words.shown(path)
    if not os.path.exists(path):
        yield Finding(ERROR, name, f"{shown} is not there", "a relative path begins at qmail's home, not in PATH")
    elif not (os.path.isfile(path) and os.access(path, os.X_OK)):
        yield Finding(ERROR, name, f"{shown} may not be executed", f"chmod +x {shown}")


def _rules(source: bytes) -> Iterator[Finding]:
    """A cdb that is older than its source."""
    try:
        newer = os.stat(source).st_mtime_ns > os.stat(source + b".cdb").st_mtime_ns
    except OSError as fault:
        yield Finding(ERROR, words.shown(os.fsencode(fault.filename)), str(fault.strerror), "run tcprules")
        return
    if newer:
        yield Finding(
            ERROR, words.shown(source), "the cdb is older, and what was changed does not count", "run tcprules"
        )
