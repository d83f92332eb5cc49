"""An ident server (RFC 1413) on loopback for the tests."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ident_server(*answer: bytes, host: str = "127.0.0.1") -> Iterator[list[str]]:
    """Answers each question with the octets of `answer`, where %b stands for the question's ports; no answer: never.

    Yields the questions so far. It is at port 113, which takes a network of the test's own.
    """
    asked: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            ports = self.rfile.readline().strip()
            asked.append(ports.decode())
            for part in answer:
                self.wfile.write(part.replace(b"%b", ports))
            if not answer:
                self.rfile.read()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server((host, 113), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()
