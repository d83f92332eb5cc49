"""Octets carried unseen between two descriptors, on each event loop, faster than they are taken."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvloop

from qmailfork.drivers.worker.reactor import Reactor, reactor
from qmailfork.drivers.worker.tunnel import Tunnel

MANY = os.urandom(1 << 20) * 2
SMALL = 4096  # octets that the kernel shall keep for who does not read yet

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def watched(request: pytest.FixtureRequest) -> Iterator[Reactor]:
    loop = request.param()
    yield reactor(loop)
    loop.close()


@pytest.fixture
def client() -> Iterator[Pair]:
    """The two ends of a connection; the second is ours."""
    yield from connection()


@pytest.fixture
def server() -> Iterator[Pair]:
    """Another one."""
    yield from connection()


def connection() -> Iterator[Pair]:
    far, near = socket.socketpair()
    near.setblocking(False)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    far.settimeout(30)
    with far, near:
        yield far, near


def tunnel(watched: Reactor, client: Pair, server: Pair) -> tuple[Callable[[], None], list[str]]:
    """A tunnel between the two: what runs it to its end, and what has become of it."""
    seen: list[str] = []

    def done() -> None:
        seen.append("done")
        watched.loop.call_later(0.05, watched.loop.stop)  # it may come a second time

    one, other = client[1].fileno(), server[1].fileno()
    Tunnel(watched, ((one, other), (other, one)), lambda: seen.append("moved"), done)
    return watched.loop.run_forever, seen


def received(sock: socket.socket) -> bytes:
    got = bytearray()
    while len(got) < len(MANY):
        got += sock.recv(65536)
    return bytes(got)


def test_all_arrives_both_ways(watched: Reactor, client: Pair, server: Pair) -> None:
    run, seen = tunnel(watched, client, server)
    got: dict[str, bytes] = {}

    def talk(name: str, sock: socket.socket) -> None:
        sender = threading.Thread(target=sock.sendall, args=(MANY,))
        sender.start()
        got[name] = received(sock)
        sender.join()

    threads = [threading.Thread(target=talk, args=("client", client[0])),
               threading.Thread(target=talk, args=("server", server[0]))]  # fmt: skip

    def converse() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client[0].shutdown(socket.SHUT_WR)

    conversing = threading.Thread(target=converse)
    conversing.start()
    run()
    conversing.join()
    assert got == {"client": MANY, "server": MANY}
    assert "moved" in seen
    assert seen.count("done") == 1


def test_who_takes_no_more_ends_it(watched: Reactor, client: Pair, server: Pair) -> None:
    run, seen = tunnel(watched, client, server)
    watched.loop.call_soon(server[0].shutdown, socket.SHUT_RD)
    sender = threading.Thread(target=client[0].send, args=(MANY,))
    sender.start()
    run()
    client[1].close()
    sender.join()
    assert seen.count("done") == 1
