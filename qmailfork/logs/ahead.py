"""Reading in a process of its own, while this one counts what was read: a long log takes two cores."""

import marshal
import os
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from qmailfork.logs.files import Unreadable
from qmailfork.logs.jsonlines import Line
from qmailfork.logs.reader import Reader, Told
from qmailfork.programs.journal import Event

WORTH = 1 << 22  # octets from which on a process pays
BATCH = 2000  # events that are sent at once
_LENGTH = struct.Struct("!I")

Times = list[tuple[bytes, float | None]]


class Recalled(Line):
    """As much of an event as a report asks for."""

    __slots__ = ("asked",)

    def __init__(
        self,
        condition: bytes,
        info: bytes | None,
        reply: bytes,
        recipient: bytes,
        sender: bytes,
        ip: bytes,
        asked: Times,
    ) -> None:
        self.condition, self.info, self.reply = condition, info, reply
        self.recipient, self.sender, self.ip = recipient, sender, ip
        self.asked = asked

    def times(self) -> Times:
        """The checkers that were asked, and the milliseconds that it took."""
        return self.asked


class Ahead:
    """The events of `reader`, as Recalled, in their order; its counts are filled once the last one is here.

    Raises Unreadable where the process that reads is killed.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.counts = reader.counts
        self.size = reader.size
        self.progress: Callable[[int], object] = reader.progress

    def __iter__(self) -> Iterator[Told]:
        source, sink = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(source)  # else writing would never fail
            _read_ahead(self._reader, sink)
        os.close(sink)
        try:
            with open(source, "rb", buffering=1 << 20) as file:
                yield from self._received(file)
        finally:
            os.waitpid(pid, 0)

    def _received(self, file: Any) -> Iterator[Told]:
        while head := file.read(_LENGTH.size):
            octets, batch, counts = marshal.loads(file.read(*_LENGTH.unpack(head)))
            self.progress(octets)
            for when, number, event in batch:
                yield when, number, Recalled(*event)
            if counts is not None:
                vars(self.counts).update(counts)
                return
        raise Unreadable("the process that reads the log was ended")


def _read_ahead(reader: Reader, sink: int) -> None:
    """Send everything; does not return."""
    status = 1
    try:
        octets: list[int] = []
        reader.progress = octets.append
        told = iter(reader)
        with open(sink, "wb", buffering=0) as file:
            while batch := [(when, number, _packed(event)) for when, number, event in islice(told, BATCH)]:
                _send(file, sum(octets), batch, None)
                octets.clear()
            _send(file, sum(octets), [], vars(reader.counts))
        status = 0
    finally:
        os._exit(status)


def _packed(event: Event) -> tuple[Any, ...]:
    asked = event.times() if isinstance(event, Line) else []
    return event.condition, event.info, event.reply, event.recipient, event.sender, event.ip, asked


def _send(file: Any, octets: int, batch: list[Any], counts: dict[str, Any] | None) -> None:
    data = marshal.dumps((octets, batch, counts))
    rest = memoryview(_LENGTH.pack(len(data)) + data)
    while rest:
        rest = rest[file.write(rest) :]
