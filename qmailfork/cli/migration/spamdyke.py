"""spamdyke.conf, versions 4 and 5: OPTION or OPTION=VALUE on a line (spamdyke's documentation)."""

import difflib
import os
from collections.abc import Iterator

from qmailfork.cli.migration import sources, spamdykelists, spamdykeoptions
from qmailfork.cli.migration.plan import Plan
from qmailfork.cli.migration.sources import Line
from qmailfork.cli.migration.spamdykewords import LACKING, NEEDLESS, TEXTS

Options = dict[str, list[Line]]


def read(plan: Plan, path: str) -> None:
    """Take in the file and those that it includes. Raises Unreadable."""
    options: Options = {}
    for name, value in _all(path, set()):
        _set(options, name, value)
    for name, values in options.items():
        _take(plan, name, values)
    spamdykeoptions.greylist(plan, options)
    spamdykeoptions.authentication(plan, options)


def _all(path: str, seen: set[str]) -> Iterator[tuple[str, Line]]:
    """Name and value of every option, in order."""
    seen.add(os.path.realpath(path))
    for line in sources.lines(path):
        name, _, value = line.text.partition("=")
        name, value = name.strip().replace("greylist", "graylist"), value.strip()
        if name != "config-file":
            yield name, Line(value, line.where)
        elif os.path.realpath(value) not in seen:
            yield from _all(value, seen)


def _set(options: Options, name: str, value: Line) -> None:
    """`!!!` takes all values back, `!value` that one."""
    if value.text == "!!!":
        options.pop(name, None)
    elif value.text.startswith("!"):
        options[name] = [each for each in options.get(name, []) if each.text != value.text[1:]]
    else:
        options.setdefault(name, []).append(value)


def _take(plan: Plan, name: str, values: list[Line]) -> None:
    """One option with all its values."""
    stem, _, kind = name.rpartition("-")
    if kind in ("entry", "file") and stem in spamdykelists.LISTS and name not in spamdykeoptions.OPTIONS:
        for value in values:
            spamdykelists.take(plan, stem, name, value, kind == "file")
    elif not values or name in NEEDLESS:
        return
    elif name in spamdykeoptions.OPTIONS:
        spamdykeoptions.OPTIONS[name](plan, f"{name}={values[-1].text}".rstrip("="), values[-1])
    elif name in TEXTS:
        plan.env[TEXTS[name]] = values[-1].text
    elif name in ("reject-sender", "reject-recipient"):
        for value in values:
            spamdykeoptions.reject(plan, name, value)
    else:
        _without(plan, name, values)


def _without(plan: Plan, name: str, values: list[Line]) -> None:
    words = LACKING.get(name)
    if words is None and name.startswith("rejection-text-"):
        words = "this refusal has no text of its own; see 554SMTPEXTFORK in qmailfork-control(5)"
    if words is None:
        known = [*LACKING, *NEEDLESS, *TEXTS, *spamdykeoptions.OPTIONS]
        near = difflib.get_close_matches(name, known, 1)
        words = f"spamdyke has no such option{f'; did you mean {near[0]}?' if near else ''}"
    for value in values:
        if value.text.lower() not in spamdykeoptions.OFF:
            plan.absent(value.where, f"{name}={value.text}".rstrip("="), words)
