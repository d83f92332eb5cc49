"""A stub resolver for many questions at once under one deadline (RFC 1035, RFC 5452).

A forked checker has no 120 ms for importing a DNS library, and asks a dozen lists in parallel; hence these
lines. They ask the recursive servers of resolv.conf(5) over UDP, and over TCP where an answer was cut. Each
question has a socket, thus a port, and an identifier of its own, and takes answers from that server only.
"""

from __future__ import annotations

import _socket as socket  # what socket wraps, without the 15 ms that its enumerations cost
import os
import select
import struct
import sys
import time

import xfkit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Server = tuple[str, int]

A, TXT = 1, 16  # record types
IN = 1  # the class
NOERROR, NXDOMAIN = 0, 3  # response codes that are answers; all others are trouble
ATTEMPTS = 3  # packets to each server
PATIENCE = 1.5  # seconds before the next packet, less where the deadline is near
FOREVER = float("inf")  # what the last packet is waited for: the deadline ends it
PORT = 53


class Garbled(Exception):
    """A packet that is no answer to the question."""


class Answer:
    """What became of one question.

    records: addresses or texts, none where the name or its record does not exist. trouble: empty, or why
    nothing is known.
    """

    __slots__ = ("records", "trouble")

    def __init__(self, records: tuple[str, ...] = (), trouble: str = "") -> None:
        self.records = records
        self.trouble = trouble


def servers(env: Mapping[str, str], path: str = "/etc/resolv.conf") -> list[Server]:
    """Return (address, port) of each server in XF_NAMESERVER, else of those in the file, else 127.0.0.1."""
    found = []
    for entry in xfkit.words(env, "XF_NAMESERVER"):
        server = _server(entry)
        if server:
            found.append(server)
        else:
            text = f"XF_NAMESERVER: {xfkit.clean(entry, 80)} is not ADDRESS:PORT, passed over"
            xfkit.log(os.path.basename(sys.argv[0]), text)
    return found or _configured(path) or [("127.0.0.1", PORT)]


def _server(entry: str) -> Server | None:
    """Return (address, port) of ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT."""
    host, port = entry, str(PORT)
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        port = port[1:] or str(PORT)
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    good = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    return (host, int(port)) if good and _family(host) else None


def _family(host: str) -> int:
    """Return the family of a literal address (an IPv6 one may have a %zone), 0 for anything else."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
            return int(family)
        except OSError:
            pass
    return 0


def _configured(path: str) -> list[Server]:
    try:
        with open(path, encoding="latin-1") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    named = [line[1] for line in lines if line[:1] == ["nameserver"] and line[1:]]
    return [(address, PORT) for address in named if _family(address)][:3]


def wire(name: str) -> bytes:
    """Return name as labels (RFC 1035, 3.1). Raises ValueError for an empty or too long label or name."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError("a label is empty or longer than 63 octets")
    packed = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(packed) > 255:
        raise ValueError("a name is longer than 255 octets")
    return packed


def parse(packet: bytes, ident: bytes, question: bytes, kind: int) -> tuple[int, bool, list[str]]:
    """Return (response code, cut short, records of kind) of an answer. Raises Garbled for anything else."""
    try:
        flags, asked, answers = struct.unpack_from(">HHH", packet, 2)
        same = packet[12 : 12 + len(question)].lower() == question.lower()
        if packet[:2] != ident or not flags & 0x8000 or asked != 1 or not same:
            raise Garbled("not an answer to the question")
        return flags & 15, bool(flags & 0x200), _records(packet, 12 + len(question), answers, kind)
    except (struct.error, IndexError) as trouble:
        raise Garbled("cut off") from trouble


def _records(packet: bytes, at: int, count: int, kind: int) -> list[str]:
    found: list[str] = []
    for _ in range(count):
        at = _past_name(packet, at)
        its_kind, its_class, _ttl, length = struct.unpack_from(">HHIH", packet, at)
        data = packet[at + 10 : at + 10 + length]
        at += 10 + length
        if at > len(packet):
            if packet[2] & 2:  # cut short: what is whole is enough until TCP brings the rest
                return found
            raise Garbled("cut off")
        if (its_kind, its_class) == (kind, IN):
            found.append(_text(data) if kind == TXT else _address(data))
    return found


def _past_name(packet: bytes, at: int) -> int:
    while packet[at]:
        if packet[at] >= 0xC0:  # a pointer ends a name
            return at + 2
        at += 1 + packet[at]
    return at + 1


def _address(data: bytes) -> str:
    if len(data) != 4:
        raise Garbled("an address that has not four octets")
    return socket.inet_ntop(socket.AF_INET, data)


def _text(data: bytes) -> str:
    parts, at = [], 0
    while at < len(data):
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(parts).decode("latin-1")


class _Question:
    """One question on its way: its packet, its socket, and when to try again."""

    def __init__(self, name: str, kind: int, servers: Sequence[Server]) -> None:
        self.ident = os.urandom(2)
        self.kind = kind
        self.question = wire(name) + struct.pack(">HH", kind, IN)
        self.packet = self.ident + struct.pack(">HHHHH", 0x100, 1, 0, 0, 0) + self.question
        self.servers = list(servers) * ATTEMPTS
        self.socket: socket.socket | None = None
        self.again = 0.0
        self.answer = Answer(trouble="no answer in time")

    def send(self, now: float, patience: float) -> bool:
        """Ask the next server; False when all have been asked often enough."""
        while self.servers:
            self.close()
            server = self.servers.pop(0)
            try:
                self.socket = socket.socket(_family(server[0]), socket.SOCK_DGRAM)
                self.socket.setblocking(False)
                self.socket.connect(server)
                self.socket.send(self.packet)
            except OSError as trouble:
                self.answer = Answer(trouble=f"{server[0]}: {trouble.strerror or trouble}")
                continue
            self.server = server
            self.again = now + patience if self.servers else FOREVER
            return True
        return False

    def receive(self, end: float) -> bool:
        """Take the packet that has come; True when the question is done, False to try the next server."""
        assert self.socket is not None
        expected = (self.ident, self.question, self.kind)
        code, cut, records = parse(self.socket.recv(65535), *expected)
        if cut:
            code, _, records = parse(_over_tcp(self.server, self.packet, end), *expected)
        if code in (NOERROR, NXDOMAIN):
            self.answer = Answer(tuple(records))
            return True
        self.answer = Answer(trouble=f"{self.server[0]} answers with response code {code}")
        return False

    def close(self) -> None:
        """Close the socket, if any."""
        if self.socket:
            self.socket.close()
            self.socket = None


def _over_tcp(server: Server, packet: bytes, end: float) -> bytes:
    """Ask once more over TCP (RFC 7766), until the moment end. Raises OSError."""
    stream = socket.socket(_family(server[0]), socket.SOCK_STREAM)
    try:
        stream.settimeout(max(0.01, end - time.monotonic()))
        stream.connect(server)
        stream.sendall(struct.pack(">H", len(packet)) + packet)
        return _exactly(stream, struct.unpack(">H", _exactly(stream, 2, end))[0], end)
    finally:
        stream.close()


def _exactly(stream: socket.socket, size: int, end: float) -> bytes:
    data = b""
    while len(data) < size:
        stream.settimeout(max(0.01, end - time.monotonic()))
        piece = stream.recv(size - len(data))
        if not piece:
            raise OSError("connection closed")
        data += piece
    return data


def lookup(asked: Sequence[tuple[str, int]], servers: Sequence[Server], seconds: float) -> list[Answer]:
    """Ask for every (name, A or TXT) at once; return the answers in that order, after at most seconds.

    Raises ValueError for a name that cannot be asked for, see wire.
    """
    end = time.monotonic() + seconds
    patience = min(PATIENCE, seconds / (2 * len(servers)))
    questions = [_Question(name, kind, servers) for name, kind in asked]
    waiting = [each for each in questions if each.send(time.monotonic(), patience)]
    over = False
    while waiting and not over:  # at the end one look more: an answer over TCP may have held up those that are there
        now = time.monotonic()
        over = now >= end
        soonest = min([end, *(each.again for each in waiting)])
        ready = _ready([each.socket for each in waiting if each.socket], soonest - now)
        waiting = [each for each in waiting if _waits_on(each, ready, end, patience)]
    for each in questions:
        each.close()
    return [each.answer for each in questions]


def _ready(sockets: Sequence[socket.socket], seconds: float) -> set[int]:
    poll = select.poll()
    for each in sockets:
        poll.register(each.fileno(), select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000 + 1)}


def _waits_on(each: _Question, ready: set[int], end: float, patience: float) -> bool:
    """Say whether the question is still open after what has come, or has not."""
    now = time.monotonic()
    if each.socket and each.socket.fileno() in ready:
        try:
            return not each.receive(end) and each.send(now, patience)
        except Garbled:  # forged or broken: the true answer may still come
            pass
        except OSError as trouble:
            each.answer = Answer(trouble=f"{each.server[0]}: {trouble.strerror or trouble}")
            return each.send(now, patience)
    return now < each.again or now >= end or each.send(now, patience)
