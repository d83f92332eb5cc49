"""`qmailfork service`: writes a service directory, and says what to do next."""

import json
import os
import re
import shutil
import sys
import textwrap
from typing import Any

import click

from qmailfork.cli import compiling
from qmailfork.cli.check import of_directory, tell
from qmailfork.cli.faults import Refusal
from qmailfork.cli.services import rcscript, scripts, steps, units, written
from qmailfork.cli.services.plan import HANDOFF, KINDS, LISTENER, SMTP, SMTPS, STDIO, SUBMISSION, Plan
from qmailfork.cli.services.settings import File
from qmailfork.cli.services.supervisors import LISTENERS, NAMES, RC, SUPERVISORS, SYSTEMD
from qmailfork.system import sockets

INCOMPLETE = 1
ALIKE = (SYSTEMD, RC)  # the listener is what they are best at
COUNT = click.IntRange(1)
WRITERS = {SYSTEMD: units.directories, RC: rcscript.directory}
UNFIT = re.compile(r"[\x00-\x1f\x7f]")
PLANNED = (
    "supervisor", "kind", "home", "address", "port", "user", "log_user", "log_directory", "sessions", "memory",
    "relays", "checkers", "smtps", "metrics",
)  # fmt: skip
QUESTIONS = {  # option → what is asked on a terminal where it is not given
    "supervisor": "Which supervisor runs it",
    "kind": "How is it served: stdio (tcpserver starts each session), listener (warm) or handoff (both)",
    "port": "Which port",
    "home": "Where is qmail's home, with control/ in it",
    "user": "Which user serves",
    "checkers": "Which checkers (SMTPEXTFORK; /usr/bin/true lets everyone in)",
    "metrics": "Where is told what the listener counts (unix:PATH or HOST:PORT; empty: nowhere)",
}


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--supervisor", type=click.Choice(NAMES), help="Who runs it.  [default: what is installed]")
@click.option("--kind", type=click.Choice(KINDS), help="tcpserver, the warm listener, or one before the other.")
@click.option("--wrap", metavar="COMMAND", help="Stand in front of this smtpd.")
@click.option("--address", default="0", show_default=True, help="Where to listen; 0: at every address.")
@click.option("--port", help="The port.  [default: 25, 465 with --smtps, 587 with --submission]")
@click.option("--home", help="qmail's home.  [default: /var/qmail]")
@click.option("--user", help="Who serves; empty: whoever runs the supervisor.  [default: qmaild]")
@click.option("--log-user", help="Who writes the log.  [default: qmaill]")
@click.option("--log-directory", type=click.Path(), help="Where.  [default: /var/log/qmail/NAME]")
@click.option("--sessions", type=COUNT, default=100, show_default=True, help="At the same time.")
@click.option("--memory", type=COUNT, default=80_000_000, show_default=True, help="Octets for each process.")
@click.option("--checkers", help="SMTPEXTFORK's list.  [default: /usr/bin/true]")
@click.option("--relay", "relays", multiple=True, help="An address as tcprules has it that may relay.  [default: 127.]")
@click.option("--maildir", type=click.Path(), help="Deliver into this Maildir: for hosts without qmail.")
@click.option("--certificate", type=click.Path(), help="For TLS.  [default: control/servercert.pem, if there]")
@click.option("--key", type=click.Path(), help="Its key.  [default: control/serverkey.pem]")
@click.option("--smtps", is_flag=True, help="TLS from the first octet.")
@click.option("--submission", is_flag=True, help="For our own users: no mail without TLS and AUTH.")
@click.option("--metrics", metavar="unix:PATH|HOST:PORT", help="Where a listener tells Prometheus what it counts.")
@click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="One more variable of env/.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is not given has its default.")
@click.option("--overwrite", is_flag=True, help="Replace files that differ, without asking.")
@click.option("--check", "checks", is_flag=True, help="Write nothing: say what is wrong with DIRECTORY as it is.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
def service(directory: str, checks: bool, as_json: bool, yes: bool, overwrite: bool, **given: Any) -> None:
    """Write a service directory for daemontools, runit or s6, a unit for systemd, or an rc.d script.

    What is not given is asked on a terminal. Exit status: 0, written; 1, written, and something is missing on this
    host; 2, not written, or a wrong argument.
    """
    if checks:
        tell(of_directory(os.fsencode(directory)), as_json)
    asks = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() and not yes and not as_json
    plan = _plan(os.path.abspath(directory), given, asks)
    files = WRITERS.get(plan.supervisor, scripts.directories)(plan)
    try:
        kept = _kept(files, asks, overwrite)
        names = list(written.write(files, lambda path: path not in kept))
    except written.Unwritable as fault:
        raise Refusal(str(fault)) from None
    absent = steps.missing(plan)
    _tell(plan, names, absent, steps.following(plan, _compile(plan)), as_json)
    sys.exit(INCOMPLETE if absent else 0)


def _kept(files: dict[str, File], asks: bool, overwrite: bool) -> set[str]:
    """The files that differ and stay as they are. Raises written.Unwritable, ClickException."""
    differ = [] if overwrite else written.changed(files)
    if differ and not asks:
        more = f" and {len(differ) - 1} more" if len(differ) > 1 else ""
        raise Refusal(f"{differ[0]}{more}: there already, and different; --overwrite replaces them")
    return {path for path in differ if not click.confirm(f"{path} differs: replace it?")}


def _plan(directory: str, given: dict[str, Any], asks: bool) -> Plan:
    """What the options and the answers say. Raises click.UsageError."""
    _defaults(given, asks)
    for name, value in given.items():
        if isinstance(value, str) and UNFIT.search(value):
            raise click.UsageError(f"--{name.replace('_', '-')}: control characters")
    if any(UNFIT.search(relay) for relay in given["relays"]):
        raise click.UsageError("--relay: control characters")
    if not os.path.isabs(given["home"]):
        raise click.UsageError(f"--home: {given['home']}: not an absolute path")
    wrapped = tuple((given["wrap"] or "").split())
    if wrapped and given["kind"] == HANDOFF:
        raise click.UsageError("--wrap: no hand-off stands in front of another smtpd; choose stdio or listener")
    given["metrics"] = _counting(given["metrics"], given["kind"])
    given["log_directory"] = given["log_directory"] or ""
    given["relays"] = given["relays"] or ("127.",)
    told = {name: given[name] for name in PLANNED}
    programs = tuple(dict.fromkeys(_programs()))
    variables = _variables(given)
    plan = Plan(directory, python=sys.executable, programs=programs, wrapped=wrapped, variables=variables, **told)
    _fitting(plan)
    return plan


def _counting(address: str, kind: str) -> str:
    """Where a listener tells what it counts, with a whole path. Raises click.UsageError."""
    if not address:
        return ""
    if kind == STDIO:
        raise click.UsageError("--metrics: only a listener counts; choose --kind listener or handoff")
    try:
        path, _, _ = sockets.place(address)
    except sockets.BindFault as fault:
        raise click.UsageError(f"--metrics: {fault}") from None
    return f"unix:{os.path.abspath(path)}" if path else address


def _fitting(plan: Plan) -> None:
    """Raises click.UsageError where this supervisor is not for such a service, or nothing can listen there."""
    try:
        sockets.resolved(plan.address, plan.port)
    except sockets.BindFault as fault:
        raise click.UsageError(f"--address, --port: {fault}") from None
    if plan.supervisor in LISTENERS and plan.kind != LISTENER:
        raise click.UsageError(f"--supervisor {plan.supervisor}: {LISTENERS[plan.supervisor]}; choose --kind listener")
    why = units.unfit(plan) if plan.supervisor == SYSTEMD else ""
    if why:
        raise click.UsageError(why)
    unfit = rcscript.unfit(plan) if plan.supervisor == RC else ""
    if unfit:
        raise click.UsageError(f"--supervisor rc: {unfit!r} cannot stand in an rc.d script")


def _defaults(given: dict[str, Any], asks: bool) -> None:
    """What was not `given`: as answered, or as it is usual."""
    port = SMTPS if given["smtps"] else SUBMISSION if given["submission"] else SMTP
    usual = {
        "supervisor": _installed(), "kind": STDIO if shutil.which("tcpserver") else LISTENER, "port": port,
        "home": os.environ.get("QMAILHOME") or "/var/qmail", "user": "qmaild", "log_user": "qmaill",
        "checkers": "/usr/bin/true", "metrics": "",
    }  # fmt: skip
    for name, default in usual.items():
        if given[name] is None:
            ask = asks and name in QUESTIONS
            choices = {"supervisor": click.Choice(NAMES), "kind": click.Choice(KINDS)}.get(name)
            if name == "kind" and given["supervisor"] in ALIKE:
                ask, default = ask and given["supervisor"] not in LISTENERS, LISTENER
            if name == "metrics" and given["kind"] == STDIO:
                ask = False
            given[name] = click.prompt(QUESTIONS[name], default, type=choices) if ask else default


def _variables(given: dict[str, Any]) -> dict[str, str]:
    """The env-dir's variables that options speak of. Raises click.UsageError."""
    found = {}
    if given["maildir"]:
        found["QMAILQUEUE"] = f"{_programs()[0]}/qmailfork-queue"
        found["QMAILFORK_MAILDIR"] = os.path.abspath(given["maildir"])
    for option, name in (("certificate", "CERTFILE"), ("key", "KEYFILE")):
        if given[option]:
            found[name] = os.path.abspath(given[option])
    if given["submission"]:
        program = f"{_place_of(steps.CHECKPASSWORD)}/{steps.CHECKPASSWORD}"
        found |= {"FORCETLS": "1", "SMTPAUTH": "!", "QMAILFORK_CHECKPASSWORD": f"{program} {steps.PASSWORDS}"}
    for pair in given["pairs"]:
        name, equals, value = pair.partition("=")
        if not equals or not name or "/" in name or name.startswith(".") or UNFIT.search(pair):
            raise click.UsageError(f"--set: {pair!r} is not NAME=VALUE")
        found[name] = value
    return found


def _place_of(program: str) -> str:
    """The directory of one of qmailfork's own programs."""
    places = [*_programs(), os.path.dirname(sys.executable)]  # where pip has put it, whatever is linked from elsewhere
    return next((place for place in places if os.path.exists(f"{place}/{program}")), "/usr/local/bin")


def _installed() -> str:
    """The first supervisor whose programs are here."""
    return next((name for name, each in SUPERVISORS.items() if shutil.which(each.needs[-1])), "daemontools")


def _programs() -> list[str]:
    """The directories of qmailfork's own programs: as PATH has them, and where this command is."""
    found = filter(None, map(shutil.which, ("qmailfork-smtpd", "qmailfork-handoff")))
    return [os.path.dirname(os.path.abspath(path)) for path in (*found, sys.argv[0])]


def _compile(plan: Plan) -> bool:
    """Compile the rules where tcprules is there: whether that was done."""
    source = f"{plan.directory}/tcp.smtp"
    return compiling.compiled(source, f"{source}.cdb") == ""


def _tell(plan: Plan, names: list[str], absent: dict[str, str], commands: list[str], as_json: bool) -> None:
    if as_json:
        told = {"directory": plan.directory, "files": names, "missing": absent, "next": commands}
        click.echo(json.dumps(told))
        return
    width = min(shutil.get_terminal_size().columns, 100)
    kinds = {STDIO: "tcpserver", LISTENER: "the warm listener", HANDOFF: "tcpserver before a warm listener"}
    what = f"{kinds[plan.kind]} on port {plan.port}, for {plan.supervisor}"
    words = f"{len(names)} files written in {plan.directory}: {what}."
    click.echo(textwrap.fill(words, width, break_long_words=False, break_on_hyphens=False))
    for what, mend in absent.items():
        click.secho(f"missing: {what}", fg="yellow")
        click.echo(f"    {mend}")
    click.echo("Next:")
    for command in commands:
        click.echo(f"    {command}")
