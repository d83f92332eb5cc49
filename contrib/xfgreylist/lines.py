"""Records and list entries as lines: for people, and as JSON that `softfail import` reads back."""

from __future__ import annotations

import ipaddress
import json
import time
from typing import Any

from xfgreylist import keys
from xfgreylist.policy import FIELDS, Limits, Record
from xfgreylist.stores import Entry

PARTS = {  # kind of record -> letter of its key, names of the words after it
    "triplet": ("t", ("client", "sender", "recipient")),
    "client": ("c", ("client",)),
    "domain": ("d", ("client", "domain")),
    "block": ("b", ("client", "blocked")),
}
KINDS = {letter: kind for kind, (letter, _) in PARTS.items()}
LONGEST = keys.LONGEST + len("spf:")  # characters of a word of a key
STATES = ("allow", "deny", "waiting", "known", "counting", "white", "blocked")


def kind(record: Record) -> str:
    """Return triplet, client, domain or block."""
    return KINDS[record.key[0]]


def parts(record: Record) -> dict[str, str]:
    """Return the words of the record's key by their names."""
    return dict(zip(PARTS[kind(record)][1], record.key.split(" ")[1:], strict=True))


def state(record: Record, limits: Limits) -> str:
    """Return what the record means now, one of STATES."""
    its = kind(record)
    if its == "block":
        return "blocked"
    if its == "triplet":
        return "known" if record.passes else "waiting"
    enough = limits.white_client if its == "client" else limits.white_domain
    return "white" if 0 < enough <= record.passes else "counting"


def record_text(record: Record, limits: Limits) -> str:
    """Return the record as one line for people."""
    words = " ".join(parts(record).values())
    counts = f"tries={record.tries} passes={record.passes} first={moment(record.first)} last={moment(record.last)}"
    return f"{state(record, limits)} {words} {counts} until={moment(record.expires)}"


def entry_text(entry: Entry) -> str:
    """Return the list entry as one line, which import reads too."""
    its, _, value = entry.name.partition(":")
    return f"{entry.verdict} {its} {value} # since {moment(entry.since)}"


def record_json(record: Record, limits: Limits) -> dict[str, Any]:
    """Return the record as an object for JSON; `state` is for people, import passes it over."""
    fields = dict(zip(FIELDS, record.values(), strict=True))
    return {"kind": kind(record), "state": state(record, limits), **parts(record), **fields}


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return the list entry as an object for JSON."""
    its, _, value = entry.name.partition(":")
    return {"kind": "list", "state": entry.verdict, "what": its, "value": value, "since": entry.since}


def moment(seconds: int) -> str:
    """Return a Unix time as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse(line: str, now: int) -> list[Entry] | Record:
    """Return what a line of an import says. Raises ValueError, whose text says what is wrong with it."""
    if line.startswith("{"):
        return _object(json.loads(line))
    words = line.partition(" #")[0].split()
    if len(words) != 3 or words[0] not in ("allow", "deny") or words[1] not in keys.KINDS:
        raise ValueError(f"neither a JSON object nor `allow|deny {'|'.join(keys.KINDS)} VALUE`")
    return [Entry(name, words[0], now) for name in keys.entries(words[1], words[2])]


def _object(fields: dict[str, Any]) -> list[Entry] | Record:
    its = fields.get("kind")
    if its == "list":
        what, value = _word(fields, "what"), _word(fields, "value")
        if what not in keys.KINDS:
            raise ValueError(f"what is none of {' '.join(keys.KINDS)}")
        verdict = _word(fields, "state")
        if verdict not in ("allow", "deny"):
            raise ValueError("state is neither allow nor deny")
        return [Entry(name, verdict, _number(fields, "since")) for name in keys.entries(what, value)]
    if its not in PARTS:
        raise ValueError(f"kind is none of list {' '.join(PARTS)}")
    letter, names = PARTS[its]
    words = [_client(fields, name) if name in ("client", "blocked") else _word(fields, name) for name in names]
    numbers = [_number(fields, name) for name in FIELDS[:-1]]
    return Record.of(" ".join((letter, *words)), numbers, _word(fields, "host", may_be_empty=True))


def _word(fields: dict[str, Any], name: str, may_be_empty: bool = False) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not (value or may_be_empty) or len(value) > LONGEST or not keys.visible(value):
        raise ValueError(f"{name} is no word of visible ASCII")
    return value


def _client(fields: dict[str, Any], name: str) -> str:
    value = _word(fields, name)
    if not (name == "client" and value.startswith("spf:")):
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise ValueError(f"{name} is no network") from None
    return value


def _number(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(f"{name} is no number")
    return value
