"""`qmailfork migrate`: what other programs were told, said again for qmailfork."""

import json
import os
import shutil
import sys
from collections.abc import Callable

import click

from qmailfork.cli import words
from qmailfork.cli.faults import Refusal
from qmailfork.cli.finding import wrapped
from qmailfork.cli.migration import runscript, spamdyke, spp, tcprules, written
from qmailfork.cli.migration.plan import ABSENT, Plan
from qmailfork.cli.migration.sources import Unreadable
from qmailfork.cli.services import written as disk
from qmailfork.cli.services.settings import File

INCOMPLETE = 1
SOURCES: dict[str, Callable[[Plan, str], None]] = {  # in the order in which they are read
    "rules": tcprules.read,
    "spamdyke": spamdyke.read,
    "run": runscript.read,
    "spp": spp.read,
}


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--spamdyke", multiple=True, metavar="FILE", help="spamdyke.conf of version 4 or 5.")
@click.option("--spp", multiple=True, metavar="FILE", help="qmail-spp's control/smtpplugins.")
@click.option("--rules", multiple=True, metavar="FILE", help="The source of tcprules, such as tcp.smtp.")
@click.option("--run", multiple=True, metavar="FILE", help="A run script with rblsmtpd or spamdyke in it.")
@click.option("--checkers", metavar="PATH", help="Where dnsbl, softfail and vchkuser are.  [default: as PATH has them]")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
def migrate(directory: str, checkers: str | None, as_json: bool, **given: tuple[str, ...]) -> None:
    """Write into DIRECTORY what spamdyke, qmail-spp, tcprules and rblsmtpd were told, in qmailfork's words.

    No file is overwritten. What has no equal is listed with file and line. Exit status: 0, all has an equal; 1,
    something has none; 2, nothing was written, or a wrong argument.
    """
    if not any(given.values()):
        raise click.UsageError(f"name what is to be read: {', '.join(f'--{name}' for name in SOURCES)}")
    plan = Plan()
    try:
        for name, read in SOURCES.items():
            for path in given[name]:
                read(plan, path)
        plan.settle()
        files = written.files(plan, _place(checkers))
        paths = _write(os.path.abspath(directory), files)
    except (Unreadable, disk.Unwritable) as fault:
        raise Refusal(str(fault)) from None
    _tell(plan, directory, paths, as_json)
    sys.exit(INCOMPLETE if any(note.kind == ABSENT for note in plan.notes) else 0)


def _place(given: str | None) -> str:
    """The directory of the checkers. Raises click.UsageError."""
    found = given or os.path.dirname(shutil.which("dnsbl") or "/usr/local/bin/dnsbl")
    if set(found) & set(" \t\n,"):
        raise click.UsageError("--checkers: neither blanks nor commas can stand in a list of checkers")
    return os.path.abspath(found)


def _write(directory: str, files: dict[str, File]) -> list[str]:
    """Write all, or nothing where one is there already or cannot be written. Raises Refusal, Unwritable."""
    there = [path for path in files if os.path.lexists(f"{directory}/{path}")]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise Refusal(f"{directory}/{there[0]}{more}: there already, and nothing is overwritten")
    written: list[str] = []
    try:
        for path in disk.write({f"{directory}/{path}": file for path, file in files.items()}, lambda path: True):
            written.append(path)
    except disk.Unwritable:
        for path in written:  # or the next try would find them there
            os.unlink(path)
        raise
    return written


def _tell(plan: Plan, directory: str, paths: list[str], as_json: bool) -> None:
    if as_json:
        notes = [{name: _clean(text) for name, text in note._asdict().items()} for note in plan.notes]
        click.echo(json.dumps({"directory": directory, "files": paths, "notes": notes, "named": plan.named}))
        return
    click.echo(wrapped("", f"{len(paths)} files written in {_clean(directory)}"))
    for note in plan.notes:
        what = _clean(f"{note.kind}: {note.where}: {note.what}")
        click.secho(wrapped("", what), fg="red" if note.kind == ABSENT else "yellow")
        click.echo(wrapped("  ", note.words))
    if plan.control:
        click.echo(wrapped("", "What is in control/ belongs into qmail's control files, behind what they have."))
    if plan.named:
        click.echo(wrapped("", "Rules with = need the client's name: start tcpserver without -H."))


def _clean(text: str) -> str:
    return words.shown(text.encode("utf-8", "surrogateescape"))
