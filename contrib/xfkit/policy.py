"""A resident checker: a server of Postfix's policy delegation protocol (Postfix, SMTPD_POLICY_README).

A request is lines `name=value` and an empty line; the answer is `action=…` and an empty line. A connection
carries any number of them. Each connection has a thread; all share the one process and its caches.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import socketserver
import stat
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import xfkit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedIOBase

    from xfkit import Check, Verdict

LINE, REQUEST = 8192, 65536  # octets
CONNECTIONS = 500  # at once; one more is closed with a log line
IDLE = 1000  # seconds without a request; Postfix closes after 300
POLL = 0.1  # seconds after which the listening thread sees that it has to end
PARTING = 10  # seconds that open requests have after SIGTERM

# softlimit -m limits stacks too, and without this a thread's stack is as large as that limit
threading.stack_size(1 << 20)

ATTRIBUTES = {  # Postfix's name for what tcp-environ(5) and qmailfork-checker(7) call
    "client_address": "TCPREMOTEIP",
    "client_name": "TCPREMOTEHOST",
    "client_port": "TCPREMOTEPORT",
    "server_address": "TCPLOCALIP",
    "server_port": "TCPLOCALPORT",
    "helo_name": "REMOTEHELO",
    "sender": "REMOTEMF",
    "recipient": "REMOTERCPT",
}
UNSET_WHEN_UNKNOWN = ("client_address", "client_name", "client_port", "server_address", "server_port")
SAID = {  # exit code -> action, reply where the verdict has no text
    xfkit.REFUSE: ("554 5.7.1", "sorry, permanent envelope failure due to local policy"),
    xfkit.DEFER: ("450 4.7.1", "sorry, temporary envelope failure due to local policy"),
}

ENDS = (signal.SIGTERM, signal.SIGINT)

Address = str | tuple[str, int]


class Ended(Exception):
    """SIGTERM or SIGINT has come."""


class Malformed(Exception):
    """A request that breaks the protocol; the text says how."""


def parse(text: str) -> Address:
    """Return the path of `unix:PATH`, or (host, port) of `inet:HOST:PORT` (an IPv6 host in brackets or not).

    Raises ValueError, whose text is one line for people.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        return rest
    host, _, port = rest.rpartition(":")
    if kind == "inet" and host and port.isascii() and port.isdigit() and int(port) < 65536:
        return host.strip("[]"), int(port)
    raise ValueError(f"{text!r} is neither unix:PATH nor inet:HOST:PORT")


def request(stream: BufferedIOBase) -> dict[str, str] | None:
    """Read one request from stream; None at the end of the connection. Raises Malformed."""
    attributes: dict[str, str] = {}
    size = 0
    while line := stream.readline(LINE + 1):
        size += len(line)
        if not line.endswith(b"\n"):
            raise Malformed("a line too long or cut off")
        if line == b"\n":
            return _complete(attributes)
        if size > REQUEST:
            raise Malformed("a request too long")
        name, equals, value = line[:-1].decode("utf-8", "surrogateescape").partition("=")
        if not equals or not name or "\0" in line.decode("latin-1"):
            raise Malformed("a line that is no name=value")
        attributes[name] = value
    if attributes:
        raise Malformed("an end in the middle of a request")
    return None


def _complete(attributes: dict[str, str]) -> dict[str, str]:
    if attributes.get("request") != "smtpd_access_policy":
        raise Malformed("a request that is not smtpd_access_policy")
    return attributes


def environment(attributes: Mapping[str, str], beneath: Mapping[str, str]) -> dict[str, str]:
    """Return what the checker sees: the server's own environment, and over it what the request tells."""
    env = {name: value for name, value in beneath.items() if name not in ATTRIBUTES.values()}
    for name, variable in ATTRIBUTES.items():
        value = attributes.get(name, "")
        if name not in UNSET_WHEN_UNKNOWN or value not in ("", "unknown"):
            env[variable] = value
    return env


def action(verdict: Verdict) -> str:
    """Return the action that says verdict; Postfix takes one, so of several headers only the first goes."""
    if verdict.code in SAID:
        code, default = SAID[verdict.code]
        return f"{code} {xfkit.clean(verdict.text) or default}"
    if verdict.headers:
        return "PREPEND " + xfkit.clean(verdict.headers[0], xfkit.HEADER)
    return "DUNNO"


class Conversation(socketserver.StreamRequestHandler):
    """One connection: requests answered in turn until its end."""

    server: Service
    timeout = IDLE

    def handle(self) -> None:
        """Answer every request; a malformed one ends the connection with one log line."""
        try:
            while (attributes := request(self.rfile)) is not None:
                env = environment(attributes, self.server.beneath)
                verdict = xfkit.decide(self.server.check, self.server.name, env)
                self.wfile.write(f"action={action(verdict)}\n\n".encode("ascii"))
        except Malformed as trouble:
            xfkit.log(self.server.name, f"connection closed: {trouble}")
        except OSError:  # the other end is gone, or idle for too long
            pass


class Service(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """The listening socket, its connections and the checker that they share."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, check: Check, name: str, address: Address) -> None:
        self.check, self.name, self.beneath = check, name, xfkit.environment()
        self.open: dict[socket.socket, threading.Thread] = {}
        place: object = address
        if isinstance(address, str):
            self.address_family = socket.AF_UNIX
            remove_stale(address)
        else:
            found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            self.address_family, place = found[0], found[4]
        super().__init__(place, Conversation)  # type: ignore[arg-type]  # typeshed knows (host, port) alone

    def server_bind(self) -> None:
        """Bind, without the look-up of names that http.server wants."""
        if self.address_family == socket.AF_UNIX:
            self.allow_reuse_address = False
        super().server_bind()

    def verify_request(self, request: object, client_address: object) -> bool:
        """Say whether one more connection has room."""
        if len(self.open) < CONNECTIONS:
            return True
        xfkit.log(self.name, f"connection closed: more than {CONNECTIONS} at once")
        return False

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Serve one connection, known to part() while it is open."""
        self.open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.open.pop(request, None)

    @contextlib.contextmanager
    def parting(self) -> Iterator[None]:
        """At the end accept no connection and read no request; those being answered have PARTING seconds."""
        try:
            yield
        finally:
            self.shutdown()
            self.part()

    def part(self) -> None:
        """Let the threads of the open connections end, for PARTING seconds in all."""
        end = time.monotonic() + PARTING
        for connection, thread in list(self.open.items()):
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                pass
            thread.join(max(0.0, end - time.monotonic()))

    def handle_error(self, request: object, client_address: object) -> None:
        """Log what a connection died of, in one line."""
        xfkit.log(self.name, f"connection closed: internal error: {sys.exc_info()[1]!r}")

    def where(self) -> str:
        """Return the address listened on as --policy takes it."""
        if self.address_family == socket.AF_UNIX:
            return f"unix:{self.server_address!s}"
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"inet:{shown}:{port}"


def remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on; what is in use or no socket stays and makes bind fail."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except FileNotFoundError:
        pass


def serve(check: Check, name: str, address: Address) -> int:
    """Answer requests on address until SIGTERM or SIGINT; return 0. Raises OSError where it cannot listen."""
    try:
        for number in ENDS:
            signal.signal(number, _end)
        with Service(check, name, address) as service:
            threading.Thread(target=service.serve_forever, args=(POLL,), daemon=True).start()
            with service.parting(), _bound(address):
                xfkit.log(name, f"listening on {service.where()}")
                while True:
                    signal.pause()
    except Ended:
        return 0


def _end(number: int, frame: object) -> NoReturn:
    """End serve, in the main thread; a second signal does not disturb the parting."""
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise Ended


@contextlib.contextmanager
def _bound(address: Address) -> Iterator[None]:
    """Remove the socket at the end, unless another server has replaced it meanwhile."""
    mine = os.stat(address).st_ino if isinstance(address, str) else 0
    try:
        yield
    finally:
        if isinstance(address, str) and os.path.exists(address) and os.stat(address).st_ino == mine:
            os.unlink(address)
