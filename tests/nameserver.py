"""A name server on loopback for the tests: real packets, over UDP and TCP, on a free port."""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from dnslib import AAAA, CNAME, MX, PTR, QTYPE, RCODE, RR, TXT, A, DNSRecord

Record = tuple[str, object]  # a type and its data; SILENT is a type too, and SERVFAIL, for whatever is not there
Zone = Mapping[str, Sequence[Record]]  # by name; `*.name` is what is below name and not there

DATA: dict[str, Callable[[object], object]] = {
    "A": A,
    "AAAA": AAAA,
    "CNAME": CNAME,
    "PTR": PTR,
    "MX": lambda pair: MX(pair[1], pair[0]),
    "TXT": TXT,
}
UDP = 512  # octets; what is longer is cut


class Silent(Exception):
    """No answer is given."""


class Nameserver:
    """Answers from a zone; `asked` tells the questions, as (name, type)."""

    def __init__(self, zone: Zone, host: str = "127.0.0.1", port: int = 0) -> None:
        self.zone = {name.lower(): list(records) for name, records in zone.items()}
        self.asked: list[tuple[str, str]] = []
        self.host = host
        self.servers = _bound(self, host, port)
        self.port: int = self.servers[0].server_address[1]
        self.threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self.servers]

    @property
    def address(self) -> str:
        """What XF_NAMESERVER takes."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def records(self, name: str) -> list[Record] | None:
        """Return what is at name, or below a `*`; None where there is nothing."""
        labels = name.split(".")
        names = [name] + ["*." + ".".join(labels[start:]) for start in range(1, len(labels))]
        return next((self.zone[each] for each in names if each in self.zone), None)

    def answer(self, packet: bytes) -> DNSRecord:
        """Return the answer to a packet. Raises Silent."""
        question = DNSRecord.parse(packet)
        name = b".".join(question.q.qname.label).decode("utf-8", "replace").lower()
        kind = QTYPE[question.q.qtype]
        self.asked.append((name, kind))
        reply = question.reply()
        records = self.records(name)
        if records is None:
            reply.header.rcode = RCODE.NXDOMAIN
        for its_kind, data in records or ():
            if its_kind == "SILENT":
                raise Silent
            if its_kind == "SERVFAIL" or (its_kind, data) == (kind, "SERVFAIL"):
                if not reply.rr:
                    reply.header.rcode = RCODE.SERVFAIL
            elif its_kind in (kind, "CNAME"):
                rdata = DATA[its_kind](data)
                reply.add_answer(RR(question.q.qname, getattr(QTYPE, its_kind), rdata=rdata, ttl=1))
        return reply


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        packet, socket = self.request
        with contextlib.suppress(Silent):
            reply = self.server.nameserver.answer(packet)
            if len(reply.pack()) > UDP:
                reply.header.tc, reply.rr = 1, []
            socket.sendto(reply.pack(), self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(Silent):
            (size,) = struct.unpack(">H", self.rfile.read(2))
            packed = self.server.nameserver.answer(self.rfile.read(size)).pack()
            self.wfile.write(struct.pack(">H", len(packed)) + packed)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _bound(nameserver: Nameserver, host: str, port: int) -> list[socketserver.BaseServer]:
    """Return a UDP and a TCP server on this port, or on one that was free for both."""
    family = 10 if ":" in host else 2
    udp_class = type("Udp", (_UdpServer,), {"address_family": family, "nameserver": nameserver})
    tcp_class = type("Tcp", (_TcpServer,), {"address_family": family, "nameserver": nameserver})
    while True:
        udp = udp_class((host, port), _Udp)
        try:
            return [udp, tcp_class((host, udp.server_address[1]), _Tcp)]
        except OSError:  # that port is taken for TCP
            udp.server_close()
            if port:
                raise


@contextlib.contextmanager
def serving(zone: Zone, host: str = "127.0.0.1", port: int = 0) -> Iterator[Nameserver]:
    """Run a name server for zone; end it afterwards."""
    nameserver = Nameserver(zone, host, port)
    for thread in nameserver.threads:
        thread.start()
    try:
        yield nameserver
    finally:
        for server in nameserver.servers:
            server.shutdown()
            server.server_close()
        for thread in nameserver.threads:
            thread.join()
