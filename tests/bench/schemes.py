"""The rows for resident and preloaded checkers, beside the same ones started for each recipient, and for wrap mode."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from tests.bench.measure import Row, Times, in_turns, milliseconds, ratio
from tests.bench.place import Place
from tests.smtpclient import Client
from tests.support import qmailfork, running, smtpd, wait_for
from tests.ucspi import listening

OPENING = b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\n"
RCPT = b"RCPT TO:<DUNNO@joedomain.net>\r\n"
RECIPIENTS = 10  # in one go
RESIDENT_BUDGET = 5.0
PRELOAD_BUDGET = 10.0
SCRIPT = """\
import os, sys, json, socket, sqlite3, urllib.request

def main():
    return 100 if os.environ["REMOTERCPT"].startswith("bad") else 0

if __name__ == "__main__":
    sys.exit(main())
"""


class Recipients:
    """A session in which recipients are asked for, measured from the client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        client.send(OPENING)
        while not client.read_line().startswith(b"250 ok"):
            continue

    def seconds(self) -> float:
        """Seconds for one recipient."""
        began = perf_counter()
        self._client.send(RCPT * RECIPIENTS)
        for _ in range(RECIPIENTS):
            if not self._client.read_line().startswith(b"250"):
                raise RuntimeError("a recipient was refused")
        return (perf_counter() - began) / RECIPIENTS


@contextmanager
def over_stdio(place: Place, list_: str) -> Iterator[Recipients]:
    near, far = socket.socketpair()
    with far:
        process = subprocess.Popen(
            smtpd(), env=place.environment(SMTPEXTFORKR=list_), stdin=far, stdout=far, stderr=subprocess.DEVNULL
        )
    with process, Client(near) as client:
        yield Recipients(client)


@contextmanager
def over_listener(place: Place, list_: str) -> Iterator[Recipients]:
    argv = qmailfork("listen", "-1", "-H", "-R", "-l", "mail.joedomain.net", "--workers", "1", "127.0.0.1", "0")
    env = {name: value for name, value in place.environment(SMTPEXTFORKR=list_).items() if "TCP" not in name}
    with listening(argv, env, place.path / "log", "127.0.0.1") as server, server.connect() as client:
        yield Recipients(client)


@contextmanager
def policy_server(place: Place) -> Iterator[str]:
    path = place.path / "policy-socket"
    with running([place.program("policy"), str(path)]):
        wait_for(path.exists, what="the policy server")
        yield f"policy:unix:{path}"
    path.unlink()


def side_by_side(place: Place, over: Callable[..., object], ours: str, theirs: str) -> tuple[Times, Times]:
    with over(place, ours) as one, over(place, theirs) as other:  # type: ignore[attr-defined]
        mine, peers = in_turns(place.runs * 10, one.seconds, other.seconds)
        return mine, peers


def resident(place: Place, over: Callable[..., object], driver: str) -> Row:
    """A recipient that a policy server is asked about, beside one that a program in C is forked for."""
    with policy_server(place) as entry:
        ours, theirs = side_by_side(place, over, entry, place.program("pass"))
    result, best = ratio(ours, theirs)
    return Row(
        f"a recipient with a policy server, {driver}", milliseconds(ours.best), "the same, forking a program in C",
        milliseconds(theirs.best), result, f"≥ {RESIDENT_BUDGET:g} x", best >= RESIDENT_BUDGET,
    )  # fmt: skip


def preload(place: Place) -> Row:
    """A recipient with a Python checker kept imported, beside the same one run afresh."""
    script = Path(place.path / "checker.py")
    script.write_text(f"#!{sys.executable}\n{SCRIPT}")
    script.chmod(0o755)
    ours, theirs = side_by_side(place, over_listener, f"preload:{script}", str(script))
    result, best = ratio(ours, theirs)
    return Row(
        "a recipient with a preloaded checker, listener", milliseconds(ours.best), "the same script run afresh",
        milliseconds(theirs.best), result, f"≥ {PRELOAD_BUDGET:g} x", best >= PRELOAD_BUDGET,
    )  # fmt: skip


ROWS: dict[str, Callable[[Place], Row]] = {
    "policy-stdio": lambda place: resident(place, over_stdio, "stdio"),
    "policy-listener": lambda place: resident(place, over_listener, "listener"),
    "preload": preload,
}
