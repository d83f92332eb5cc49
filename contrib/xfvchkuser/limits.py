"""A limit on how long a server may take, however slowly it drips."""

from __future__ import annotations

import os
import socket
import threading

# softlimit -m limits stacks too, and without this a thread's stack is as large as that limit
threading.stack_size(1 << 20)


class Limit:
    """As a context: when the seconds are over, the connection with this descriptor is shut down.

    Whoever reads from it then sees its end. Works in any thread, for a library's connection too.
    """

    def __init__(self, descriptor: int, seconds: int) -> None:
        self.connection = socket.socket(fileno=os.dup(descriptor))
        self.timer = threading.Timer(seconds, self._hang_up)
        self.timer.daemon = True
        self.over = False

    def __enter__(self) -> Limit:
        self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.timer.join()
        self.connection.close()

    def check(self) -> None:
        """Raise TimeoutError if the time was over before."""
        if self.over:
            raise TimeoutError("timed out")

    def _hang_up(self) -> None:
        self.over = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is gone already
            pass
