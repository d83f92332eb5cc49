"""Clients that mean harm, as a program: python -m tests.hostile.attacks NAME HOST PORT SCALE; ended by a signal.

It says `ready` once it is at it. SCALE multiplies the number of its connections.
"""

import asyncio
import resource
import socket
import struct
import sys
import threading
from dataclasses import dataclass

BEGIN = b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\n"
GARBAGE = bytes(range(256)) * 16 + b"\r\n\0\r\nMAIL\r\nDATA\r\n<>\r\n"


@dataclass(frozen=True)
class Attack:
    """So many `connections` that say `first`, and then `again` and again with `pause` seconds between, up to `most`
    times; what they are told is read, or not.
    """

    connections: int
    first: bytes = b""
    again: bytes = b""
    pause: float = 0.0
    most: int = 1 << 60
    reads: bool = True


ATTACKS = {
    "10,000 idle connections": Attack(10_000, pause=3600),
    "slow-loris, a byte a second": Attack(2000, BEGIN + b"DATA\r\n", b"x", pause=1),
    "endless lines": Attack(20, again=b"x" * 65536),
    "endless headers": Attack(20, BEGIN + b"DATA\r\n", b"X-More: and more\r\n" * 4000),
    "100,000 recipients": Attack(5, BEGIN, b"RCPT TO:<joe@joedomain.net>\r\n" * 1000, most=100),
    "pipelined garbage": Attack(20, again=GARBAGE),
    "commands whose replies nobody reads": Attack(200, again=b"HELP\r\n" * 1000, reads=False),
    "connections reset at once": Attack(8),
}
RESETS = "connections reset at once"


async def hold(attack: Attack, host: str, port: int, up: asyncio.Semaphore) -> None:
    """One connection, made again where the server ends it."""
    while True:
        try:
            async with up:
                reader, writer = await asyncio.open_connection(host, port)
            reading = asyncio.create_task(discard(reader)) if attack.reads else None
            await speak(attack, writer)
            writer.write_eof()
            if reading:
                await reading
            writer.close()
        except OSError:
            await asyncio.sleep(0.05)


async def speak(attack: Attack, writer: asyncio.StreamWriter) -> None:
    writer.write(attack.first)
    for _ in range(attack.most):
        writer.write(attack.again)
        await writer.drain()
        await asyncio.sleep(attack.pause)


async def discard(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65536):
            pass
    except OSError:
        pass


async def attack_with(attack: Attack, host: str, port: int) -> None:
    up = asyncio.Semaphore(100)  # a backlog has an end
    tasks = [asyncio.create_task(hold(attack, host, port, up)) for _ in range(attack.connections)]
    await asyncio.sleep(0)
    while up.locked() and not all(task.done() for task in tasks):
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await asyncio.gather(*tasks)


def reset_for_ever(host: str, port: int) -> None:
    """Connect and reset, as fast as it goes."""
    while True:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                connection.connect((host, port))
            except OSError:
                continue


def main() -> None:
    """Attack."""
    name, host, port, scale = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    model = ATTACKS[name]
    connections = max(int(model.connections * scale), 1)
    if name == RESETS:
        for _ in range(connections):
            threading.Thread(target=reset_for_ever, args=(host, port), daemon=True).start()
        print("ready", flush=True)
        threading.Event().wait()
    attack = Attack(connections, model.first, model.again, model.pause, model.most, model.reads)
    asyncio.run(attack_with(attack, host, port))


if __name__ == "__main__":
    main()
