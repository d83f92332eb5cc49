"""What the workers of one listener tell each other, in memory that they share."""

import fcntl
import mmap
import struct
import tempfile

from qmailfork.system.tallies import Tallies

_COUNT = struct.Struct("=IIQ")  # sessions, ready, sequence
_ADDRESS = 17  # octets of one session's client: a mark and its address


class Board:
    """One row for each worker: how many sessions it has, whether it is ready, how many it ever had; and, where
    addresses are counted, the clients of its sessions. `limit` is how many all of them may have; `tallies` what they
    count beside, where the board `counts`.
    """

    def __init__(self, limits: list[int], counts: bool = False) -> None:
        self._limits = limits
        self.limit = sum(limits)
        self.tallies = Tallies(len(limits)) if counts else None
        self._rows = len(limits) * _COUNT.size
        self._memory = mmap.mmap(-1, self._rows + sum(limits) * _ADDRESS)
        self._lock = tempfile.TemporaryFile()  # two workers shall not count at once

    def descriptor(self) -> int:
        """What has to stay open."""
        return self._lock.fileno()

    def clear(self, worker: int) -> None:
        """A worker that ended has no sessions; its sequence goes on."""
        _, _, sequence = self._row(worker)
        self._set(worker, 0, 0, sequence)
        start = self._start(worker)
        self._memory[start : start + self._limits[worker] * _ADDRESS] = bytes(self._limits[worker] * _ADDRESS)

    def _row(self, worker: int) -> tuple[int, int, int]:
        sessions, ready, sequence = _COUNT.unpack_from(self._memory, worker * _COUNT.size)
        return sessions, ready, sequence

    def _set(self, worker: int, sessions: int, ready: int, sequence: int) -> None:
        _COUNT.pack_into(self._memory, worker * _COUNT.size, sessions, ready, sequence)

    def _start(self, worker: int) -> int:
        return self._rows + sum(self._limits[:worker]) * _ADDRESS

    def ready(self, worker: int) -> None:
        """`worker` has started."""
        _, _, sequence = self._row(worker)
        self._set(worker, 0, 1, sequence)

    def is_ready(self, worker: int) -> bool:
        """True once `worker` has started."""
        return bool(self._row(worker)[1])

    def begin(self, worker: int, sessions: int) -> int:
        """`worker` has a new session, `sessions` now: the session's own number."""
        _, ready, sequence = self._row(worker)
        self._set(worker, sessions, ready, sequence + 1)
        return sequence * len(self._limits) + worker + 1

    def end(self, worker: int, sessions: int) -> None:
        """`worker` has one session less, `sessions` now."""
        _, ready, sequence = self._row(worker)
        self._set(worker, sessions, ready, sequence)

    def sessions(self) -> int:
        """The sessions of all workers."""
        return sum(self._row(worker)[0] for worker in range(len(self._limits)))

    def ever(self) -> int:
        """The sessions that all workers have had."""
        return sum(self._row(worker)[2] for worker in range(len(self._limits)))

    def enter(self, worker: int, slot: int, address: bytes, most: int) -> bool:
        """Put a client's packed `address` into a free `slot` of `worker`, unless there are `most` of it already:
        whether it is in now.
        """
        mark = b"\1" + address.rjust(_ADDRESS - 1, b"\0")
        at = self._start(worker) + slot * _ADDRESS
        fcntl.lockf(self._lock, fcntl.LOCK_EX)  # the process's, and gone with it
        try:
            everyone = self._memory[self._rows :]
            has_room = sum(everyone[at : at + _ADDRESS] == mark for at in range(0, len(everyone), _ADDRESS)) < most
            if has_room:
                self._memory[at : at + _ADDRESS] = mark
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)
        return has_room

    def leave(self, worker: int, slot: int) -> None:
        """Free a `slot`."""
        at = self._start(worker) + slot * _ADDRESS
        self._memory[at : at + _ADDRESS] = bytes(_ADDRESS)
