"""What people do with the store: report, list, allow, deny, forget, expire, import."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any, TextIO

import xfkit
from xfkit.arguments import USAGE, Parser, printing

from xfgreylist import keys, lines, settings, stores
from xfgreylist.forget import concerns
from xfgreylist.policy import Record
from xfgreylist.report import Report

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Mapping, Sequence

    from xfgreylist.stores import Store

NOTHING, DOWN = 1, 111  # exit codes: there was nothing to forget; the store cannot be used
PATIENCE = 60.0  # seconds that a store may take for a person's command
BATCH = 1000  # lines of an import written at once


class Wrong(Exception):
    """A person's mistake; the text is the line that says so."""


def main(name: str, manual: str, words: Sequence[str]) -> int:
    """Do what words say (the first is a key of COMMANDS) and return the exit code."""
    if {"-h", "--help"} & set(words):
        return printing(name, lambda: print(end=manual))
    wanted = _parser(name, manual, words[0]).parse_args(list(words[1:]))
    return printing(name, lambda: _obey(name, words[0], wanted))


def _obey(name: str, command: str, wanted: Namespace) -> int:
    env = xfkit.environment()
    try:
        store = stores.connect(wanted.store or stores.address(env), PATIENCE)
        try:
            return COMMANDS[command](store, wanted, env)
        finally:
            store.close()
    except Wrong as trouble:
        return _fail(name, str(trouble), USAGE)
    except stores.StoreDown as trouble:
        return _fail(name, str(trouble), DOWN)


def _fail(name: str, text: str, code: int) -> int:
    print(f"{name}: {xfkit.clean(text)}", file=sys.stderr)
    return code


def _parser(name: str, manual: str, command: str) -> Parser:
    parser = Parser(f"{name} {command}", manual)
    parser.add_argument("--store", metavar="ADDRESS")
    if command in ("report", "list"):
        parser.add_argument("--json", action="store_true")
    if command == "report":
        parser.add_argument("--top", type=_count, default=10)
    if command == "list":
        parser.add_argument("states", nargs="*", metavar="STATE", type=_state)
    if command in ("allow", "deny", "forget"):
        parser.add_argument("kind", choices=keys.KINDS)
        parser.add_argument("values", nargs="+", metavar="VALUE")
    if command == "import":
        parser.add_argument("file", nargs="?", default="-")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def _state(text: str) -> str:
    if text not in lines.STATES:
        raise ArgumentTypeError(f"{text!r} is none of {' '.join(lines.STATES)}")
    return text


def _now() -> int:
    return int(time.time())


def report(store: Store, wanted: Namespace, env: Mapping[str, str]) -> int:
    """Print the sums."""
    sums = Report(store, settings.limits(env), _now())
    sys.stdout.write(json.dumps(sums.as_json(wanted.top)) + "\n" if wanted.json else sums.as_text(wanted.top))
    return 0


def list_(store: Store, wanted: Namespace, env: Mapping[str, str]) -> int:
    """Print list entries and living records, a line each."""
    for line in _lines(store, set(wanted.states or lines.STATES), wanted.json, env):
        sys.stdout.write(line + "\n")
    return 0


def _lines(store: Store, states: set[str], as_json: bool, env: Mapping[str, str]) -> Iterator[str]:
    limits, now = settings.limits(env), _now()
    for entry in store.lists():
        if entry.verdict in states:
            yield json.dumps(lines.entry_json(entry)) if as_json else lines.entry_text(entry)
    if states <= {"allow", "deny"}:
        return
    for record in store.records():
        if record.expires > now and lines.state(record, limits) in states:
            yield json.dumps(lines.record_json(record, limits)) if as_json else lines.record_text(record, limits)


def allow(store: Store, wanted: Namespace, _: Mapping[str, str]) -> int:
    """Put values on the white list."""
    return _enter(store, wanted, "allow")


def deny(store: Store, wanted: Namespace, _: Mapping[str, str]) -> int:
    """Put values on the black list."""
    return _enter(store, wanted, "deny")


def _enter(store: Store, wanted: Namespace, verdict: str) -> int:
    now = _now()
    store.enter([stores.Entry(name, verdict, now) for name in _names(wanted)])
    return 0


def _names(wanted: Namespace) -> list[str]:
    try:
        return [name for value in wanted.values for name in keys.entries(wanted.kind, value)]
    except ValueError as trouble:
        raise Wrong(str(trouble)) from None


def forget(store: Store, wanted: Namespace, _: Mapping[str, str]) -> int:
    """Take values out of the lists, and every record that is about them out of the store."""
    names = _names(wanted)
    about = concerns(names)
    entries = store.strike(names)
    records = store.remove([record.key for record in store.records() if about(record)])
    print(f"{entries} list entries, {records} records")
    return 0 if entries or records else NOTHING


def expire(store: Store, _: Namespace, __: Mapping[str, str]) -> int:
    """Take out what is dead."""
    print(f"{store.expire(_now())} records")
    return 0


def import_(store: Store, wanted: Namespace, _: Mapping[str, str]) -> int:
    """Read lines of `softfail list`, as JSON, or `allow|deny KIND VALUE`, into the store."""
    if wanted.file == "-" and sys.stdin is None:  # descriptor 0 may be the store by now
        raise Wrong("standard input is closed")
    name, source = ("standard input", 0) if wanted.file == "-" else (wanted.file, wanted.file)
    try:
        with open(source, encoding="utf-8", errors="surrogateescape") as file:
            return _import(store, name, file)
    except OSError as trouble:
        raise Wrong(f"{name}: {os.strerror(trouble.errno or 0)}") from None


def _import(store: Store, name: str, file: TextIO) -> int:
    """Read a file; a bad line ends it, and what stands before the line's batch is in the store."""
    now, counts = _now(), [0, 0]
    batch: list[Any] = []
    for number, line in enumerate(file, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            batch.append(_parsed(name, number, text, now))
        if len(batch) == BATCH:
            _put(store, batch, counts)
            batch = []
    _put(store, batch, counts)
    print(f"{counts[0]} list entries, {counts[1]} records")
    return 0


def _parsed(name: str, number: int, text: str, now: int) -> Any:
    try:
        return lines.parse(text, now)
    except (ValueError, RecursionError) as trouble:
        raise Wrong(f"{name}:{number}: {trouble}") from None


def _put(store: Store, batch: list[Any], counts: list[int]) -> None:
    records = [item for item in batch if isinstance(item, Record)]
    entries = [entry for item in batch if not isinstance(item, Record) for entry in item]
    store.enter(entries)
    store.put(records)
    counts[0] += len(entries)
    counts[1] += len(records)


COMMANDS = {
    "report": report,
    "list": list_,
    "allow": allow,
    "deny": deny,
    "forget": forget,
    "expire": expire,
    "import": import_,
}
