"""The row for svc -k: how soon the next instance greets a client."""

import time

from tests.bench.listener import NAMES, environment
from tests.bench.measure import Row, Times, milliseconds
from tests.bench.place import Place
from tests.faults.restarts import greeted
from tests.supervised import free_port, supervised
from tests.support import qmailfork, wait_for

BUDGET = 1.0  # seconds


def restart(place: Place) -> Row:
    """Seconds from svc -k, when supervise is awake, to the greeting of the next instance."""
    port = free_port()
    argv = qmailfork("listen", *NAMES, "127.0.0.1", str(port))
    with supervised(place.path / "service", argv, environment(place)) as service:
        seconds = []
        for _ in range(place.runs):
            wait_for(lambda: service.rested() and greeted(port), what="supervise's rest and the listener")
            before, began = service.pid(), time.perf_counter()
            service.svc("-k")
            service.wait_for_pid(other_than=before)
            wait_for(lambda: greeted(port), what="the next instance")
            seconds.append(time.perf_counter() - began)
    times = Times(seconds)
    return Row(
        "`svc -k` to the next greeting, listener", milliseconds(times.best), "-", "-",
        f"median {milliseconds(times.median)}", f"≤ {milliseconds(BUDGET)}", times.best <= BUDGET,
    )  # fmt: skip


ROWS = {"listener-restart": restart}
