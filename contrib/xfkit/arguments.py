"""The arguments that every checker takes: --help and --policy ADDRESS."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

import xfkit
from xfkit import policy

if TYPE_CHECKING:
    from xfkit import Check

USAGE = 2  # exit code of a wrong argument; 100 and 101 would be verdicts
TROUBLE = 111  # exit code of a server that cannot listen


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
        sys.stdout.write(parser.format_help())
        return 0
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
