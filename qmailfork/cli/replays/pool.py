"""Checkers asked in parallel, so many at a time."""

import mmap
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

from qmailfork.cli.replays.past import Entry
from qmailfork.cli.trial import Bench
from qmailfork.logs.verdicts import ACCEPTED, DEFERRED, FAILED, REFUSED, SHADOWED, Verdicts, decider
from qmailfork.smtp import replies

SHARE = 8  # recipients for each process in a batch
STOPPED = mmap.mmap(-1, 1)  # what all processes share; 1: none of them begins with another recipient


class Answer(NamedTuple):
    """What the new list says: the verdict `now` (empty: no recipient came), the checker that decided, the `reply`, the
    checkers on trial that would have refused, and those that failed.
    """

    now: str
    by: bytes
    reply: bytes
    shadowed: list[bytes]
    failed: list[bytes]


def asked(bench: Bench, environment: dict[bytes, bytes], entries: Iterable[Entry], jobs: int) -> Iterator[
    list[tuple[Entry, Answer]]
]:  # fmt: skip
    """The `entries` with their answers, in order, batch by batch; never more than `jobs` checkers at a time.

    Once it is STOPPED, the checkers that run are waited for, and theirs are the last answers.
    """
    reader, writer = os.pipe()
    try:
        with multiprocessing.get_context("fork").Pool(jobs, _begin, (reader, writer)) as pool:
            coming = iter(entries)
            while not STOPPED[0] and (batch := list(islice(coming, jobs * SHARE))):
                answers = pool.map(partial(_ask, bench, environment), batch, chunksize=1)
                yield list(_answered(batch, answers))
    finally:
        os.close(reader)
        os.close(writer)


def _answered(batch: list[Entry], answers: list[Answer | None]) -> Iterator[tuple[Entry, Answer]]:
    """Those up to the first that nobody was asked about."""
    for entry, answer in zip(batch, answers, strict=True):
        if answer is None:
            return
        yield entry, answer


def _begin(reader: int, writer: int) -> None:
    """A process of the pool ends with its parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to heed
    os.close(writer)
    threading.Thread(target=lambda: os._exit(1) if not os.read(reader, 1) else None, daemon=True).start()


def _ask(bench: Bench, environment: dict[bytes, bytes], entry: Entry) -> Answer | None:
    if STOPPED[0]:
        return None
    with open(os.devnull, "wb") as log:
        step = bench.ask(entry.case, log.fileno())
    verdicts = Verdicts(environment)
    told = [(verdicts.of(event), event) for event in (step.events if step else ()) if event.recipient]
    now, decision = next((one for one in reversed(told) if one[0] in (ACCEPTED, REFUSED, DEFERRED)), ("", None))
    by = decider(decision) if decision and now != ACCEPTED else b""
    named = {kind: [decider(event) for verdict, event in told if verdict == kind] for kind in (SHADOWED, FAILED)}
    reply = step.reply if step and not replies.is_positive(step.reply) else b""
    return Answer(now, by, reply, named[SHADOWED], named[FAILED])
