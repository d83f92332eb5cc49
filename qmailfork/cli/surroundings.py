"""The environment that a command goes by: the caller's own, an env-dir, single variables."""

import os
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

import click

from qmailfork.conversation.settings import ControlFault
from qmailfork.system import config, envdir

Command = TypeVar("Command", bound=Callable[..., Any])


def text(value: str) -> bytes:
    """A click type: octets, as the operating system has them."""
    return os.fsencode(value)


def options(command: Command) -> Command:
    """--env-dir and --set, for environment()."""
    for option in (
        click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="Set one variable."),
        click.option("--env-dir", type=click.Path(), help="Take variables from a directory as envdir does."),
    ):
        command = option(command)
    return command


def environment(env_dir: str | None, pairs: Iterable[str]) -> dict[bytes, bytes]:
    """The caller's environment, changed by the files of `env_dir` and then by `pairs`. Raises click.UsageError."""
    variables = config.received()
    if env_dir is not None:
        try:
            envdir.apply(os.fsencode(env_dir), variables)
        except ControlFault as fault:
            fail("--env-dir", str(fault))
    put(variables, pairs)
    return variables


def put(variables: dict[bytes, bytes], pairs: Iterable[str]) -> None:
    """Set the variables that `pairs`, NAME=VALUE, speak of. Raises click.UsageError."""
    for pair in pairs:
        name, equals, value = os.fsencode(pair).partition(b"=")
        if not name or not equals:
            fail("--set", f"{pair!r} is not NAME=VALUE")
        variables[name] = value


def said(fault: Exception) -> str:
    """What could not be read or done, in words: the file before the reason, where an OSError has both."""
    if isinstance(fault, OSError) and fault.filename is not None and fault.strerror:
        return f"{os.fsdecode(fault.filename)}: {fault.strerror}"
    return str(fault)


def fail(option: str, words: str) -> NoReturn:
    """One sentence about an option. Raises click.UsageError."""
    raise click.UsageError(f"{option}: {words}")
