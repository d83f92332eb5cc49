"""`qmailfork replay`: a log's recipients through a new list of checkers."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import click

from qmailfork.cli import surroundings, trial, window, words
from qmailfork.cli.faults import UNREADABLE, end
from qmailfork.cli.replays import pool, stopping
from qmailfork.cli.replays.comparison import Comparison, Stale
from qmailfork.cli.replays.past import Entry, Past
from qmailfork.conversation.settings import ControlFault
from qmailfork.logs import files
from qmailfork.logs.reader import Reader
from qmailfork.report.counters import Top
from qmailfork.system import config, envdir

CHANGED, INTERRUPTED = 1, 130
UNTRIED = click.Path(readable=False)  # what cannot be read is no wrong option
LISTS = (b"SMTPEXTFORK", b"SMTPEXTFORKR")


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(), metavar="LOG...")
@click.option("--env", "new", type=UNTRIED, required=True, help="The new list: an env-dir, or NAME=value lines.")
@click.option("--state", type=click.Path(dir_okay=False), help="Remember here how far it came, and go on from there.")
@click.option("--jobs", type=click.IntRange(1, 256), default=2, show_default=True, help="Checkers at a time.")
@click.option("--sample", type=click.IntRange(0, 1000), default=3, show_default=True, help="Examples of each kind.")
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Names in each table.")
@window.options
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
def replay(logs: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Ask a new list of checkers about the recipients of LOG, and tell what would change.

    Checkers run for real; nothing is sent and nothing is queued. LOG is a directory of multilog's or the like, a
    file, or - for standard input.

    Exit status: 0, nothing would change; 1, something would; 2, a wrong argument; 111, a log, the list or the state
    cannot be read.
    """
    logs = tuple(log if log == files.STDIN else os.path.abspath(log) for log in logs)
    given["state"] = given["state"] and os.path.abspath(given["state"])
    environment = _environment(given["new"])
    complaint = trial.go_home(environment)
    if complaint:
        click.echo(f"qmailfork replay: {complaint}", err=True)
    told, past, faults = _replayed(logs, environment, given)
    if as_json:
        click.echo(json.dumps(_as_json(told, past, given["top"])))
    else:
        _show(told, past, given["top"])
    end("replay", faults, UNREADABLE if faults else CHANGED if any(told.changed) else 0)


def _environment(path: str) -> dict[bytes, bytes]:
    """The caller's environment, changed by what `path` says. Raises click.UsageError."""
    variables = config.received()
    for name in LISTS:
        variables.pop(name, None)  # the list is the new one alone
    try:
        new = envdir.read(os.fsencode(path)) if os.path.isdir(path) else _lines(path)
    except (ControlFault, OSError) as fault:
        end("replay", [f"{path}: {fault.strerror}" if isinstance(fault, OSError) else str(fault)], UNREADABLE)
    if not any(name in new for name in LISTS):
        surroundings.fail("--env", f"{path} sets neither SMTPEXTFORK nor SMTPEXTFORKR")
    for name, value in new.items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    return variables


def _lines(path: str) -> dict[bytes, bytes | None]:
    variables: dict[bytes, bytes | None] = {}
    for number, line in enumerate(Path(path).read_bytes().split(b"\n"), 1):
        name, equals, value = line.partition(b"=")
        if not line.strip() or line.startswith(b"#"):
            continue
        if not equals or not name.strip() or b"\0" in line:
            end("replay", [f"{path}, line {number}: not NAME=value"], UNREADABLE)
        variables[name.strip()] = value.rstrip(b" \t\r")
    return variables


def _replayed(
    logs: tuple[str, ...], environment: dict[bytes, bytes], given: dict[str, Any]
) -> tuple[Comparison, Past, list[str]]:
    told = Comparison(given["sample"], _name(logs, environment, given))
    try:
        if given["state"]:
            told.load(given["state"])
        reader = Reader(logs, given["since"], given["until"])
        past = Past(reader, config.received())
        total = _total(logs, given)
        _compare(told, _rest(told, past), environment, given, total)
    except (files.Unreadable, Stale) as fault:
        end("replay", [str(fault)], UNREADABLE)
    except OSError as fault:
        end("replay", [f"{fault.filename or 'replay'}: {fault.strerror}"], UNREADABLE)
    except KeyboardInterrupt:
        end("replay", [f"broken off after {told.done} recipients"], INTERRUPTED)
    return told, past, reader.counts.faults


def _name(logs: tuple[str, ...], environment: dict[bytes, bytes], given: dict[str, Any]) -> str:
    """What tells this list, on this log, from every other one."""
    listed = sorted((name, value) for name, value in environment.items() if b"SMTPEXTFORK" in name)
    return hashlib.sha256(repr((listed, logs, given["since"], given["until"])).encode()).hexdigest()


def _total(logs: tuple[str, ...], given: dict[str, Any]) -> int | None:
    """How many there are, where somebody looks on and the log can be read twice."""
    if not sys.stderr.isatty() or files.STDIN in logs:
        return None
    return sum(1 for _ in Past(Reader(logs, given["since"], given["until"]), config.received()))


def _rest(told: Comparison, past: Past) -> Iterator[Entry]:
    """The entries that were not done before. Raises Stale where those are not in the log."""
    entries, done, last = iter(past), told.done, told.last
    before = None
    for before in islice(entries, done):  # noqa: B007  # the last one is what counts
        pass
    if done and (before is None or before.digest() != last):
        raise Stale("the log is not the one that --state is about; remove that file to begin anew")
    return entries


def _compare(
    told: Comparison, entries: Iterable[Entry], environment: dict[bytes, bytes], given: dict[str, Any],
    total: int | None,
) -> None:  # fmt: skip
    bench = trial.Bench(None, environment, None)
    with stopping.heeded(), _bar(total, told.done) as bar:
        for batch in pool.asked(bench, environment, entries, given["jobs"]):
            for entry, answer in batch:
                told.add(entry, answer)
            if given["state"]:
                told.save(given["state"])
            if bar:
                bar.update(len(batch))


def _bar(total: int | None, done: int) -> Any:
    if total is None:
        return nullcontext()
    bar = click.progressbar(length=total, label="replaying", file=sys.stderr)
    bar.update(done)
    return bar


def _as_json(told: Comparison, past: Past, top: int) -> dict[str, Any]:
    return {
        "recipients": told.done, "same": told.same, "not_asked": told.not_asked, "own_rules": past.own,
        "unusable": past.unusable, **_row(told.changed),
        "checkers": _rows(told.checkers, top), "domains": _rows(told.domains, top),
        "shadowed": _counts(told.shadowed, top), "failed": _counts(told.failed, top),
        "samples": {kind.replace(" ", "_"): list(kept) for kind, kept in told.samples.items()},
    }  # fmt: skip


def _row(row: list[int]) -> dict[str, int]:
    return dict(zip(("let_in", "refused", "deferred"), row, strict=True))


def _rows(top: Top, most: int) -> list[dict[str, Any]]:
    return [{"name": words.shown(name), **_row(row)} for name, row in top.ordered()[:most]]


def _counts(top: Top, most: int) -> list[dict[str, Any]]:
    return [{"name": words.shown(name), "times": sum(row)} for name, row in top.ordered()[:most]]


def _show(told: Comparison, past: Past, top: int) -> None:
    let_in, refused, deferred = told.changed
    click.echo(f"{told.done} recipients replayed, {told.same} as before.")
    click.echo(f"Now let in: {let_in}, refused: {refused}, deferred: {deferred}.")
    if past.own:
        click.echo(f"{past.own} refused by the server's own rules, not replayed.")
    for number, what in ((past.unusable, "not told well enough by the log"), (told.not_asked, "came to no decision")):
        if number:
            click.echo(f"{number} {what}, not compared.")
    for title, names in (("checker", told.checkers), ("domain", told.domains)):
        if names.rows:
            click.echo(f"\n{'let in':>8}{'refused':>9}{'deferred':>10}  {title}")
            for name, row in names.ordered()[:top]:
                click.echo(f"{row[0]:>8}{row[1]:>9}{row[2]:>10}  {words.shown(name, 28)}")
    for title, names in (("On trial, would refuse", told.shadowed), ("Failed", told.failed)):
        for name, row in names.ordered()[:top]:
            click.echo(f"{title}, {sum(row)} times: {words.shown(name, 20)}")
    for kind, kept in told.samples.items():
        _show_samples(kind, kept)


def _show_samples(kind: str, kept: list[dict[str, str]]) -> None:
    if kept:
        click.echo(f"\nNow {kind}, for example:")
    for one in kept:
        click.echo(f"  {one['recipient']}")
        click.echo(f"    from <{one['sender']}>, {one['ip']}")
        click.echo(f"    was {one['was']}" + (f" by {one['before']}" if one["before"] else ""))
        if one["reply"]:
            click.echo(f"    {one['by']}: {one['reply']}")
