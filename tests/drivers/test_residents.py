"""Questions to resident programs beside the event loop, where two things happen at once."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from qmailfork.conversation.requests import Consult
from qmailfork.drivers.worker.reactor import reactor
from qmailfork.drivers.worker.residents import Residents
from qmailfork.programs.outcome import Outcome


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_time_that_is_over_as_nobody_is_found_is_told_once(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    loop = make()
    told: list[Outcome] = []
    Residents(reactor(loop)).ask(Consult(b"/nonexistent", b"question\n", b"\n", 0.0), -1, told.append)
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    loop.close()
    assert len(told) == 1
