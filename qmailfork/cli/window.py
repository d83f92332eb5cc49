"""Which logs an operator means, and what of them: LOG..., --since and --until."""

import re
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from qmailfork.logs import files

Command = TypeVar("Command", bound=Callable[..., Any])
_AGO = re.compile(r"(\d{1,5})([smhdw])(?: ago)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def logs(given: tuple[str, ...]) -> tuple[str, ...]:
    """The logs to read: those `given`, else standard input. Raises click.UsageError where none can come from there."""
    if not given and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("name a log: a directory of multilog's or the like, a file, or - for standard input")
    return given or (files.STDIN,)


def moment(text: str) -> int:
    """A click type: Unix seconds of a date, a date and a time, `today`, `yesterday`, `now`, or `36h` (ago)."""
    match = _AGO.fullmatch(text)
    if match:
        return int(time.time()) - int(match[1]) * _UNITS[match[2]]
    if text == "now":
        return int(time.time()) + 1
    if text in ("today", "yesterday"):
        midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return int((midnight - timedelta(days=text == "yesterday")).timestamp())
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        words = f"{text!r} is no time: 2026-11-24, '2026-11-24 08:00', today, yesterday, 36h or 7d are"
        raise click.BadParameter(words) from None


def options(command: Command) -> Command:
    """--since and --until."""
    for name, words in (("--until", "Only what was before then."), ("--since", "Only what was from then on.")):
        command = click.option(name, type=moment, metavar="TIME", help=words)(command)
    return command
