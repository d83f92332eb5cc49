"""`qmailfork check`: what is wrong with a service, or with environment, control files and rules."""

import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from qmailfork.cli import finding, surroundings, words
from qmailfork.cli.checks import controls, lists, maildir, metrics, owner, rules, switches, unit, variables
from qmailfork.cli.checks.directory import LEAST_MEMORY, Service
from qmailfork.cli.checks.started import Unreadable
from qmailfork.cli.finding import ERROR, WARNING, Finding
from qmailfork.cli.surroundings import text
from qmailfork.conversation.settings import ControlFault, Settings
from qmailfork.programs import queue
from qmailfork.system import config
from qmailfork.system.config import Controls

RELAY = b"RELAYCLIENT"


@click.command()
@click.argument("directory", type=text, required=False)
@click.option("--rules", "source", type=text, help="The source of the rules; its cdb is FILE.cdb.")
@click.option("--run", "runs", is_flag=True, help="Run each checker once, for a recipient that is made up.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@surroundings.options
def check(
    directory: bytes | None,
    source: bytes | None,
    runs: bool,
    as_json: bool,
    env_dir: str | None,
    pairs: tuple[str, ...],
) -> None:
    """Look for what is wrong with the service in DIRECTORY, or with environment and control files as they are here.

    DIRECTORY has a run script, a systemd unit or an rc.d script. Exit status: 0, nothing found; 1, warnings; 2,
    errors, or a wrong argument.
    """
    if directory is not None:
        if env_dir is not None or source is not None:
            surroundings.fail("DIRECTORY", "it has its own env-dir and rules: leave --env-dir and --rules out")
        tell(of_directory(directory, runs, pairs), as_json)
    environment = surroundings.environment(env_dir, pairs)
    about_rules = _rules(os.fsdecode(source)) if source else []  # before qmail's home is entered
    tell([*_memory(), *findings(environment, runs=runs), *_relaying(environment), *about_rules], as_json)


def tell(found: list[Finding], as_json: bool) -> None:
    """Show what was `found`, and end."""
    found = finding.once(found)
    if as_json:
        click.echo(finding.as_json(found))
    else:
        finding.show(found)
    sys.exit(finding.worst(found))


def of_directory(directory: bytes, runs: bool = False, pairs: tuple[str, ...] = ()) -> list[Finding]:
    """All that is wrong with the service in `directory`. Raises click.UsageError."""
    try:
        service = Service(Path(os.fsdecode(os.path.abspath(directory))))
    except Unreadable as fault:
        surroundings.fail("DIRECTORY", str(fault))
    surroundings.put(service.environment, pairs)
    cdb = str(service.path(service.chain.cdb)) if service.chain.cdb else ""
    source = cdb.removesuffix(".cdb")
    about_rules = [*rules.compiled(source, cdb, service.chain.optional)] if cdb else []
    known, refused = rules.parsed(source, cdb) if cdb else ([], [])
    about_rules += [*refused, *rules.relaying(source, known)]

    def look() -> Iterator[Finding]:
        if cdb and os.path.exists(cdb):
            yield from controls.readable(cdb, "every client is turned away")
        if service.chain.python.startswith("/"):
            yield from lists.program(str(service.script_file), os.fsencode(service.chain.python))
        for one in findings(service.environment, service.chain.wrapped, runs):
            yield placed(service, one)
        yield from unit.privileges(service.script, _queue(service.environment))
        for address, rule in known:
            if rule.allowed and rule.environment:
                yield from _of_rule(service, f"{source}: {words.shown(address)}:", rule.environment)

    relaying = [placed(service, one) for one in _relaying(service.environment)]
    return [*service.found, *relaying, *about_rules, *owner.looking(service.user, look),
            *owner.looking(service.starter, lambda: metrics.findings(service))]  # fmt: skip


def _queue(environment: dict[bytes, bytes]) -> bytes:
    """The path of the program that takes messages."""
    return os.path.join(config.home(environment), environment.get(b"QMAILQUEUE") or queue.DEFAULT)


def placed(service: Service, one: Finding) -> Finding:
    """With the file of the env-dir for where, where it is about a variable from there."""
    name, equals, value = one.where.partition("=")
    file = service.from_env_dir.get(os.fsencode(name))
    return one if file is None else one._replace(where=f"{file}{equals}{value}")


def _of_rule(service: Service, where: str, given: dict[bytes, bytes]) -> Iterator[Finding]:
    """What is wrong for the clients of one rule, and was not before it."""
    before = set(findings(service.environment, service.chain.wrapped))
    for one in findings({**service.environment, **given}, service.chain.wrapped):
        if one not in before:
            is_set_here = os.fsencode(one.where).split(b"=")[0] in given
            yield one._replace(where=f"{where} {one.where}") if is_set_here else one


def findings(environment: dict[bytes, bytes], wrapped: Sequence[str] = (), runs: bool = False) -> Iterator[Finding]:
    """All that is wrong with this environment and the control files that it leads to."""
    home = config.home(environment)
    try:
        os.chdir(home)
        known = Controls(home, [os.fsencode(word) for word in wrapped])
        settings = config.settings(known, environment)
    except (ControlFault, OSError) as fault:
        why = "every client is told 421 unable to read controls"
        what = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
        yield Finding(ERROR, os.fsdecode(home), what, why, "make it, or make it readable for the server")
        yield from variables.names(environment, [])
        return
    yield from controls.domains(known)
    yield from controls.certificate(settings, time.time())
    yield from _checkers(known, environment, runs)
    yield from switches.findings(known, environment)
    if settings.auth and settings.auth.program:
        yield from lists.program("QMAILFORK_CHECKPASSWORD", settings.auth.program[0])
    if not wrapped:
        yield from lists.program("QMAILQUEUE", settings.queue)
        yield from maildir.findings(environment, settings.queue)
    elif wrapped[0].startswith("/"):
        yield from lists.program("the wrapped smtpd", os.fsencode(wrapped[0]))


def _checkers(known: Controls, environment: dict[bytes, bytes], runs: bool) -> Iterator[Finding]:
    """Both lists, each under the settings of a client that meets it, and the variables beside them."""
    base = {name: value for name, value in environment.items() if name != RELAY}
    programs: list[bytes] = []
    met: list[Settings] = []
    for name, more in (("SMTPEXTFORK", {}), ("SMTPEXTFORKR", {RELAY: b""})):
        settings = config.settings(known, {**base, **more})
        met.append(settings)
        yield from lists.entries(name, settings)
        programs += [entry.argv[0] for entry in settings.checkers.entries if entry.argv]
        if runs:
            yield from lists.tried(name, environment)
        yield from variables.values(environment, settings)
    yield from variables.names(environment, [*programs, met[0].queue])
    yield from variables.own_words(environment, met[0])


def _relaying(environment: dict[bytes, bytes]) -> Iterator[Finding]:
    if RELAY in environment:
        why = "every client may send to any domain: an open relay"
        yield Finding(ERROR, "RELAYCLIENT", "it is set for everyone", why, "set it in the rules, for our own networks")


def _memory() -> Iterator[Finding]:
    for kind, name in ((resource.RLIMIT_AS, "-a"), (resource.RLIMIT_DATA, "-d")):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
            what, why = f"{limit} octets are few for Python", "the server or its checkers fail"
            yield Finding(WARNING, f"softlimit {name}", what, why, "give -m 80000000")


def _rules(source: str) -> list[Finding]:
    cdb = f"{source}.cdb"
    try:
        with open(source, "rb"):
            pass
    except OSError as fault:
        return [Finding(ERROR, source, str(fault.strerror), "no rules can be compiled", "name the source of tcprules")]
    known, refused = rules.parsed(source, cdb)
    return [*rules.compiled(source, cdb), *refused, *rules.relaying(source, known)]
