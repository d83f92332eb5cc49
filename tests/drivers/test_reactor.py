"""What a worker's descriptors tell: each way to watch them, on each event loop."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator

import pytest
import uvloop

from qmailfork.drivers.worker.reactor import EpollReactor, Reactor


@pytest.fixture(params=[Reactor, EpollReactor])
def make(request: pytest.FixtureRequest) -> type[Reactor]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def reactor(request: pytest.FixtureRequest, make: type[Reactor]) -> Iterator[Reactor]:
    loop = request.param()
    yield make(loop)
    loop.close()


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    far.setblocking(False)
    with near, far:
        yield near, far


def read_to_the_end(reactor: Reactor, descriptor: int, most: int) -> bytes:
    """What a reader gets that takes `most` octets at each call, until an end or an error."""
    got, ended = bytearray(), reactor.loop.create_future()

    def read() -> None:
        try:
            block = os.read(descriptor, most)
        except BlockingIOError:
            return
        except ConnectionResetError:
            block = b""
        got.extend(block)
        if not block and not ended.done():
            reactor.ignore_readable(descriptor)
            ended.set_result(None)

    reactor.on_readable(descriptor, read)
    reactor.loop.run_until_complete(asyncio.wait_for(ended, 20))
    return bytes(got)


def finish(near: socket.socket) -> None:
    near.shutdown(socket.SHUT_WR)


def reset(near: socket.socket) -> None:
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near.close()


def close_with_words_unread(near: socket.socket) -> None:
    near.close()


@pytest.mark.parametrize("most", [1, 4, 100])
@pytest.mark.parametrize("end", [finish, reset, close_with_words_unread])
def test_the_end_is_told_behind_what_can_be_read(
    reactor: Reactor,
    connection: tuple[socket.socket, socket.socket],
    end: Callable[[socket.socket], None],
    most: int,
) -> None:
    near, far = connection
    near.send(b"octets")
    if end is close_with_words_unread:
        far.send(b"words")
    end(near)
    got = read_to_the_end(reactor, far.fileno(), most)
    assert got in (b"octets", b"")[: 1 if end is finish else 2]


def test_a_descriptor_that_was_closed_may_come_again_at_once(reactor: Reactor) -> None:
    for _ in range(50):
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.write(writing, b"x")
        os.close(writing)
        assert read_to_the_end(reactor, reading, 10) == b"x"
        reactor.close(reading)
    reactor.loop.run_until_complete(asyncio.sleep(0))
