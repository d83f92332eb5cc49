"""The Maildir that qmailfork-queue delivers into."""

import os
from collections.abc import Iterator

from qmailfork.cli.finding import ERROR, Finding

NAME = "QMAILFORK_MAILDIR"
WHY = "no message can be queued: every one is deferred"


def findings(environment: dict[bytes, bytes], queue: bytes) -> Iterator[Finding]:
    """What is wrong with it, for whoever looks, where `queue` is the program that delivers into it."""
    if os.path.basename(queue) != b"qmailfork-queue":
        return
    path = os.fsdecode(environment.get(NAME.encode(), b""))
    if not path:
        yield Finding(ERROR, NAME, "it is not set", WHY, "set it to a Maildir")
        return
    for name in ("tmp", "new"):
        directory = f"{path}/{name}"
        if not os.path.isdir(directory):
            yield Finding(ERROR, NAME, f"{directory} is not there, or not for this user", WHY, making(path))
            return
        if not os.access(directory, os.W_OK | os.X_OK):
            yield Finding(ERROR, NAME, f"{directory} may not be written to by this user", WHY, f"chown -R it to {path}")
            return


def making(path: str) -> str:
    """The command that makes a Maildir at `path`, which needs no quoting."""
    return f"mkdir -p {path}/tmp {path}/new {path}/cur"
