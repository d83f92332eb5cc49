"""`qmailfork checker`: run one checker by hand, or try it on everything."""

import json
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

import click

from qmailfork.cli import checkertest, surroundings, trial, words
from qmailfork.cli.checkertest import Result
from qmailfork.cli.envelopes import Case
from qmailfork.cli.surroundings import text
from qmailfork.smtp import address, commands, replies

Command = TypeVar("Command", bound=Callable[..., Any])
LONGEST = {"sender": address.LONGEST, "recipient": address.LONGEST, "helo": commands.LONGEST - len("EHLO \r\n")}
FIELDS = ("sender", "recipient", "helo", "ip", "host", "info", "relays")
NARROW = 100  # columns below which a sentence gets lines of its own


@click.group()
def checker() -> None:
    """Try a checker: a program, or any other entry of SMTPEXTFORK."""


def _envelope(command: Command) -> Command:
    """The options about one recipient and its client."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Say it in JSON."),
        click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Time limit for each run."),
        click.option("--relay", "relays", is_flag=True, help="The client may relay (RELAYCLIENT)."),
        click.option("--info", type=text, help="What ident said (TCPREMOTEINFO)."),
        click.option("--host", type=text, help="The client's name (TCPREMOTEHOST)."),
        click.option("--ip", type=text, default="203.0.113.7", show_default=True, help="Its address (TCPREMOTEIP)."),
        click.option("--helo", type=text, default="mx.foodomain.net", show_default=True, help="REMOTEHELO."),
        click.option("--recipient", type=text, default="joe@joedomain.net", show_default=True, help="REMOTERCPT."),
        click.option(
            "--sender", type=text, default="john@foodomain.net", show_default=True, help='REMOTEMF; "" is <>.'
        ),
    ):
        command = option(command)
    return surroundings.options(command)


@checker.command()
@click.argument("program", type=text)
@_envelope
def run(program: bytes, as_json: bool, **given: Any) -> None:
    """Ask PROGRAM, an entry of SMTPEXTFORK, about one recipient.

    Exit status: 0, the recipient is accepted; 1, it is not; 2, a wrong argument.
    """
    bench = _bench(program, given)
    result = Result("", bench.try_on(_case(given, "")))
    if as_json:
        click.echo(json.dumps(result.as_json()))
    else:
        _show_run(result)
    sys.exit(0 if replies.is_positive(result.told.reply) else 1)


@checker.command()
@click.argument("program", type=text)
@click.option("--at-once", type=click.IntRange(1, 500), default=20, show_default=True, help="Runs at the same time.")
@_envelope
def test(program: bytes, as_json: bool, at_once: int, **given: Any) -> None:
    """Try PROGRAM, an entry of SMTPEXTFORK, on nasty envelopes and in nasty circumstances.

    Exit status: 0, no faults; 1, faults; 2, a wrong argument.
    """
    given["seconds"] = given["seconds"] or 10.0
    results: list[Result] = []
    for result in checkertest.run(_bench(program, given), _case(given, "a plain envelope"), at_once):
        if not as_json:
            _show(result, results)
        results.append(result)
    faults = sum(len(result.faults) for result in results)
    if as_json:
        cases = [result.as_json() for result in results]
        click.echo(json.dumps({"program": words.shown(program), "faults": faults, "cases": cases}))
    else:
        click.secho(f"{faults or 'no'} fault{'' if faults == 1 else 's'}", fg="red" if faults else "green")
    sys.exit(1 if faults else 0)


def _bench(program: bytes, given: dict[str, Any]) -> trial.Bench:
    if not program.strip() or b"," in program:
        surroundings.fail("PROGRAM", "one entry of the list, and in the list a comma ends an entry")
    environment = surroundings.environment(given["env_dir"], given["pairs"])
    entry = trial.absolute(program)
    complaint = trial.go_home(environment)
    if complaint:
        click.secho(complaint, fg="yellow", err=True)
    try:
        return trial.Bench(entry, environment, given["seconds"])
    except ValueError:
        surroundings.fail("PROGRAM", f"{words.shown(program)}: makes no sense to this scheme")


def _case(given: dict[str, Any], name: str) -> Case:
    """What is `given`, as far as SMTP can carry it."""
    for field, longest in LONGEST.items():
        if len(given[field]) > longest:
            surroundings.fail(f"--{field}", f"the server takes at most {longest} octets")
        if b"\n" in given[field]:
            surroundings.fail(f"--{field}", "no client can send a line feed in it")
    return Case(name, **{field: given[field] for field in FIELDS})


def _show_run(result: Result) -> None:
    outcome = result.told.outcome
    for title, written in (("descriptor 1", outcome.output), ("descriptor 2", result.told.log)):
        for line in written.splitlines():
            click.echo(f"{title}: {words.shown(line)}")
    click.echo(f"{words.ending(outcome)} after {words.milliseconds(outcome.milliseconds)}")
    click.echo(result.consequence)
    _show_remarks(result)


def _show(result: Result, before: list[Result]) -> None:
    """One case in a line, and one for each fault; in a narrow terminal a new consequence has a line of its own."""
    outcome, times = result.told.outcome, result.times
    took = words.milliseconds(times[-1])
    if len(times) > 1:
        took = f"{words.milliseconds(times[len(times) // 2])} to {took}"
    left = f"{result.name:<30} {words.ending(outcome):<9} {took:>8}"
    if shutil.get_terminal_size().columns >= NARROW:
        click.echo(f"{left}  {result.consequence}")
    else:
        click.echo(left)
        if result.consequence not in [other.consequence for other in before]:
            click.echo(_wrapped(result.consequence))
    _show_remarks(result)


def _show_remarks(result: Result) -> None:
    for note in result.notes:
        click.secho(_wrapped(f"note: {note}"), fg="yellow")
    for fault in result.faults:
        click.secho(_wrapped(f"fault: {fault}"), fg="red")


def _wrapped(sentence: str) -> str:
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(sentence, max(columns - 1, 20), initial_indent="    ", subsequent_indent="    ")
