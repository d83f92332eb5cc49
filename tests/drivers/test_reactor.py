"""What a worker's descriptors tell: each way to watch them, on each event loop."""

import asyncio
import os
import socket
import struct
import time
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


def nothing() -> None:
    pass


@pytest.mark.parametrize("change", ["ignore_readable", "ignore_writable", "on_readable", "on_writable"])
def test_a_descriptor_may_be_closed_in_the_turn_of_any_change(reactor: Reactor, change: str) -> None:
    """uvloop's own add_reader() and remove_writer() call abort() then: libuv has still to tell the kernel of them."""
    for _ in range(20):
        near, far = socket.socketpair()
        near.setblocking(False)
        descriptor = near.detach()
        fill(descriptor)
        reactor.on_readable(descriptor, nothing)
        reactor.on_writable(descriptor, nothing)
        reactor.loop.run_until_complete(asyncio.sleep(0))
        getattr(reactor, change)(descriptor, *([nothing] if change.startswith("on") else []))
        reactor.close(descriptor)
        far.close()
        reactor.loop.run_until_complete(asyncio.sleep(0))


def fill(descriptor: int) -> None:
    """Write until no more is taken."""
    try:
        while True:
            os.write(descriptor, bytes(65536))
    except BlockingIOError:
        pass


def test_the_number_of_a_closed_descriptor_may_come_again_in_the_same_turn(reactor: Reactor) -> None:
    """As sessions end and begin under load: reader and writer of the old one are not those of the new one."""
    seen: list[int] = []
    pairs = [socket.socketpair() for _ in range(8)]

    def again(descriptor: int) -> None:
        seen.append(descriptor)
        reactor.close(descriptor)
        near, far = socket.socketpair()
        near.setblocking(False)
        pairs.append((near, far))
        begin(near.detach(), far)

    def begin(descriptor: int, far: socket.socket) -> None:
        reactor.on_writable(descriptor, lambda: reactor.ignore_writable(descriptor))
        reactor.on_readable(descriptor, lambda: again(descriptor))
        if len(seen) < 400:
            far.send(b"x")

    for near, far in list(pairs):
        near.setblocking(False)
        begin(near.detach(), far)
    deadline = reactor.loop.time() + 20
    while len(seen) < 400 and reactor.loop.time() < deadline:
        reactor.loop.run_until_complete(asyncio.sleep(0))
    assert len(seen) >= 400
    assert len(set(seen)) < 100  # numbers came again
    for _, far in pairs:
        far.close()


def test_what_is_always_ready_leaves_the_loop_its_turn(reactor: Reactor) -> None:
    """Clients that flood a session with work do not hold up what waits for the loop itself: timers, tasks, signals."""
    near, far = socket.socketpair()
    far.send(b"x")
    calls: list[float] = []

    def work() -> None:
        calls.append(reactor.loop.time())
        time.sleep(0.005)

    reactor.on_readable(near.fileno(), work)
    reactor.loop.call_later(0.05, reactor.loop.stop)
    reactor.loop.run_forever()
    reactor.ignore_readable(near.fileno())
    assert 1 < len(calls) < 40
    near.close()
    far.close()
