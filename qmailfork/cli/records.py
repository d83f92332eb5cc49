"""Decision records, read back from the log and told: `qmailfork explain ID`."""

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from qmailfork.cli import faults, window, words
from qmailfork.logs import files, stamps
from qmailfork.programs.decision import ALPHABET

_ID = re.compile(f"[{ALPHABET.decode()}]{{4}}-[{ALPHABET.decode()}]{{4}}(-[1-9][0-9]{{0,6}})?")
_ENDS = {"exit": "exit {}", "signal": "killed by signal {}", "errno": "could not be started (errno {})", "answer": "{}"}


def explain(name: str, logs: tuple[str, ...], as_json: bool) -> None:
    """Tell what the `logs` have under the `name` of a decision or a session; where they have nothing, the end."""
    name = name.lower()
    if not _ID.fullmatch(name):
        raise click.UsageError(f"{words.shown(os.fsencode(name))} is no name of a decision, such as k3m9-x2qp-1")
    try:
        found = list(records(name, window.logs(logs)))
    except files.Unreadable as fault:
        faults.end("explain", [str(fault)], faults.UNREADABLE)
    if not found:
        click.echo(f"{name} is not there; records are in logs of QMAILFORK_LOG=json alone", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo("\n\n".join("\n".join(told(one)) for one in found))


def records(name: str, logs: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The records of that name, or of the session of that name, in the order of the log. Raises files.Unreadable."""
    needle, clock = f'"id":"{name}'.encode(), stamps.Stamps(time.time())
    for line in _lines(logs):
        if needle in line:
            record = _record(line, clock)
            if record and (record["id"] == name or record["id"].startswith(name + "-")):
                yield record


def _lines(logs: Iterable[str]) -> Iterator[bytes]:
    for log in logs:
        for path in files.found(log):
            split = files.Lines()
            for block in files.blocks(path, lambda octets: None):
                yield from split.of(block)
            yield split.rest


def _record(line: bytes, clock: stamps.Stamps) -> dict[str, Any] | None:
    """What a line holds; None for half a line, and for one that only looks like ours."""
    try:
        when, text = clock.split(line)
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in ("id", "event")):
        return None
    return {"time": when, **record} if when else record


def told(record: dict[str, Any]) -> Iterator[str]:
    """A record in words, line by line."""
    when = record.get("time")
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when)) if when else ""
    yield f"{record['id']}  {_text(record, 'event')}" + (f"  {at}" if at else "")
    yield f"  client     {_text(record, 'ip')} ({_text(record, 'host')}), HELO {_text(record, 'helo') or '-'}"
    if record.get("recipient"):
        yield f"  envelope   <{_text(record, 'sender')}> to <{_text(record, 'recipient')}>"
    checkers = record.get("checkers")
    for one in checkers if isinstance(checkers, list) else ():
        if isinstance(one, dict):
            yield f"  checker    {checker(one)}"
    if record.get("info"):
        yield f"  because of {_text(record, 'info')}"
    if record.get("reply"):
        yield f"  reply      {_text(record, 'reply')}"


def checker(one: dict[str, Any]) -> str:
    """How one checker ended."""
    end = next((text.format(_text(one, key)) for key, text in _ENDS.items() if key in one), "")
    end = end or ("out of time" if one.get("timeout") else "no answer")
    took = one.get("ms")
    said = f", said {_text(one, 'said')!r}" if one.get("said") else ""
    took_it = f" in {words.milliseconds(took)}" if isinstance(took, (int, float)) else ""
    known = ", remembered" if one.get("cached") else took_it
    name = _text(one, "entry") or _text(one, "program")
    return f"{name}{' (shadow)' if one.get('shadow') else ''}: {end}{known}{said}"


def _text(record: dict[str, Any], key: str) -> str:
    return words.shown(str(record.get(key, "")).encode("utf-8", "surrogateescape"), 300)
