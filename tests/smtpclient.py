"""A blocking SMTP client for tests, which knows no more of SMTP than where a line and a reply end."""

import socket
import ssl
import struct
import time
from types import TracebackType

from tests.support import PATIENCE


class Client:
    """Sends octets and reads replies on a connected socket; every read has the deadline of `seconds`."""

    def __init__(self, connected: socket.socket, seconds: float = PATIENCE) -> None:
        self.socket = connected
        self.seconds = seconds
        self.pending = b""
        self.ended = False

    @classmethod
    def connect(cls, host: str, port: int, seconds: float = PATIENCE) -> "Client":
        connected = socket.create_connection((host, port), timeout=seconds)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # octets sent one by one go one by one
        return cls(connected, seconds)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, octets: bytes) -> None:
        """Sends all; a peer that has gone is no fault here, what it said last can still be read."""
        self.socket.settimeout(self.seconds)
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read_line(self) -> bytes:
        """The next line without its CR LF (a bare LF stays, to be seen); b"" at the end of the connection."""
        deadline = time.monotonic() + self.seconds
        while b"\n" not in self.pending and not self.ended:
            self._receive(deadline)
        line, end, self.pending = self.pending.partition(b"\n")
        return line.removesuffix(b"\r") if line.endswith(b"\r") or not end else line + end

    def reply(self) -> list[bytes]:
        """The lines of the next reply; empty at the end of the connection."""
        lines = [line for line in [self.read_line()] if line]
        while lines and lines[-1][3:4] == b"-":
            lines.append(self.read_line())
        return lines

    def command(self, line: str | bytes) -> list[bytes]:
        """Sends the line with CR LF and reads its reply."""
        self.send((line.encode("latin-1") if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def rest(self) -> bytes:
        """All that comes until the connection ends."""
        deadline = time.monotonic() + self.seconds
        while not self.ended:
            self._receive(deadline)
        rest, self.pending = self.pending, b""
        return rest

    def start_tls(self) -> None:
        """Encrypts from here on, whatever the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket.settimeout(self.seconds)
        self.socket = context.wrap_socket(self.socket)

    def half_close(self) -> None:
        """Says that no more will be sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the peer was faster
            pass

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Ends a TCP connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _receive(self, deadline: float) -> None:
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            block = self.socket.recv(65536)
        except ConnectionResetError:
            block = b""
        except TimeoutError:
            raise AssertionError(f"no more than {self.pending!r} in {self.seconds:g} s") from None
        self.pending += block
        self.ended = not block
