"""The arguments that every checker takes: --help and --policy ADDRESS; and commands for people beside them."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import xfkit
from xfkit import policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from xfkit import Check

USAGE = 2  # exit code of a wrong argument; 100 and 101 would be verdicts
TROUBLE = 111  # exit code of a server that cannot listen, and of a command whose output nobody takes


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong argument costs one line and exit code 2, and --help is the manual."""

    def __init__(self, name: str, manual: str) -> None:
        super().__init__(prog=name, add_help=False, allow_abbrev=False)
        self.manual = manual
        self.add_argument("-h", "--help", action="store_true")

    def format_help(self) -> str:
        """Return the manual."""
        return self.manual.strip("\n") + "\n"

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line and exit."""
        print(xfkit.clean(f"{self.prog}: {message}; {self.prog} --help shows the manual"), file=sys.stderr)
        sys.exit(USAGE)


def obey(check: Check, name: str, manual: str) -> int:
    """Do what sys.argv says and return the exit code: 0, or 111 where the address cannot be listened on."""
    parser = Parser(name, manual)
    parser.add_argument("--policy")
    wanted = parser.parse_args()
    if wanted.help:
        return printing(name, lambda: print(end=parser.format_help()))
    if wanted.policy is None:
        parser.error("an argument is missing")
    try:
        address = policy.parse(wanted.policy)
    except ValueError as trouble:
        parser.error(str(trouble))
    try:
        return policy.serve(check, name, address)
    except OSError as trouble:
        xfkit.log(name, f"cannot listen on {wanted.policy}: {trouble.strerror or trouble}")
        return TROUBLE


def printing(name: str, command: Callable[[], int | None]) -> int:
    """Run a command that prints, and return its exit code (None: 0); or 111, and one line, where a disk is full."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `softfail list | head` is no error
    if sys.stdout is None:  # closed; the next file that is opened would be descriptor 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stdout = open(1, "w", encoding="utf-8")
    try:
        code = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return xfkit.INTERRUPTED
    except OSError:
        trouble = _stuck()
        if trouble is None:
            raise
        print(f"{name}: standard output: {trouble.strerror}", file=sys.stderr)
        return TROUBLE
    return code or 0


def _stuck() -> OSError | None:
    """Why standard output takes no more, if so; what is still to be written there goes nowhere then."""
    try:
        os.write(1, b"\n")
    except OSError as trouble:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return trouble
    return None
