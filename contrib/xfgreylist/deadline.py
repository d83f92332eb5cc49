"""A hard limit on a call into a client library: name look-ups, connects and answers all count.

The libraries' own limits leave gaps (a resolver that hangs, several addresses each with its own time, libpq's smallest
connect_timeout of 2 seconds), so the call runs in a thread of its own, which is left behind if it is late.
"""

from __future__ import annotations

import threading

from xfgreylist.stores import StoreDown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

# softlimit -m limits stacks too, and without this a thread's stack is as large as that limit
threading.stack_size(1 << 20)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return call(), or raise what it raises. Raises TimeoutError if it takes longer than seconds."""
    results: list[T] = []
    troubles: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as trouble:
            troubles.append(trouble)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if troubles:
        raise troubles[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:.3g} seconds")
    return results[0]


class Guard:
    """Calls to one server, each within its time; what goes wrong is StoreDown with the server's name before it.

    late: a call was left behind, and holds the connection still; it must not be closed under its feet.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds = name, seconds
        self.late = False

    def __call__(self, call: Callable[[], T]) -> T:
        """Return call(). Raises StoreDown."""
        try:
            return within(self.seconds, call)
        except Exception as trouble:  # a library has more kinds of trouble than it tells
            self.late = self.late or isinstance(trouble, TimeoutError)
            raise self.down(trouble) from None

    def down(self, trouble: Exception) -> StoreDown:
        """Return the trouble as StoreDown: its kind and first line, as a library's message may have several."""
        text = "".join(str(trouble).strip().splitlines()[:1])
        return StoreDown(f"{self.name}: {type(trouble).__name__}: {text}")
