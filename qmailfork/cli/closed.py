"""A program without its three descriptors, as a careless server would run it."""

import os
from time import monotonic
from typing import Any

from qmailfork.programs.outcome import UNSTARTED, Outcome
from qmailfork.system import children, spawn


class Closed:
    """Runs programs with `environment`, and with descriptors 0, 1 and 2 closed."""

    def __init__(self, environment: dict[bytes, bytes]) -> None:
        self._environment = environment

    def __call__(self, request: Any) -> Outcome:
        """The outcome of one requests.Run."""
        began = monotonic()
        nothing, writer = os.pipe()
        os.close(writer)
        try:
            pid = self._launch(request.command, spawn.merged(self._environment, request.environment))
            return children.outcome(pid, nothing, request.seconds, 0, began)
        except OSError as fault:
            return Outcome(UNSTARTED, fault.errno or 0, b"", (monotonic() - began) * 1000)
        finally:
            os.close(nothing)

    def _launch(self, argv: list[bytes], environment: dict[bytes, bytes]) -> int:
        """Ours are closed to programs for as long as it takes to start one."""
        ours = [number for number in (0, 1, 2) if _is_inheritable(number)]
        for number in ours:
            os.set_inheritable(number, False)
        try:
            return spawn.launch(argv, environment, ())
        finally:
            for number in ours:
                os.set_inheritable(number, True)


def _is_inheritable(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:
        return False
