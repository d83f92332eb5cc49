"""Listening sockets: bound as tcpserver does, or handed over by the service manager (sd_listen_fds(3))."""

import contextlib
import errno
import os
import socket
import stat
import sys
import time
from typing import Any

BACKLOG = 1000  # tcpserver's own 20 drops connections as soon as a hundred come at once
MOST_PORT = 65535
FIRST = 3  # descriptor of LISTEN_FDS
PATIENCE = 2.0  # seconds for the workers of an instance that was killed to let go of the address
LONGEST = (107 if sys.platform == "linux" else 103) - len(".4194304")  # octets of a socket's path; its draft's has more
REPLIES = 65536  # octets in the kernel for a client that does not read; by itself it would take megabytes


Resolved = tuple[socket.AddressFamily, tuple[Any, ...]]


class BindFault(Exception):
    """No listening socket; the text says which and why."""


def listen(host: str, port: str, backlog: int, nodelay: bool) -> list[socket.socket]:
    """Sockets that listen on every address of `host` (0 is every IPv4 address). Raises BindFault."""
    listening = _handed_over() or _bound(host, port, backlog, nodelay)
    for sock in listening:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REPLIES)  # connections have it from here
        sock.setblocking(False)  # another worker may have taken the client that we were woken for
    return listening


def listen_at(address: str, backlog: int) -> list[socket.socket]:
    """Sockets that listen at `address`, unix:PATH or HOST:PORT. Raises BindFault."""
    path, host, port = place(address)
    return [listen_unix(path, backlog)] if path else _bound(host, port, backlog, nodelay=False)


def place(address: str) -> tuple[str, str, str]:
    """Path, host and port: the first of unix:PATH, the others of HOST:PORT, empty what is not. Raises BindFault."""
    scheme, colon, path = address.partition(":")
    if scheme == "unix" and path:
        return path, "", ""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not port.isascii():
        raise BindFault(f"{address}: neither unix:PATH nor HOST:PORT")
    _expect_port(host, port)
    return "", host, port


def _expect_port(host: str, port: str) -> None:
    """Raises BindFault for a number that is no port's: the C library would take the rest of a division."""
    if port.isdigit() and int(port) > MOST_PORT:
        raise BindFault(f"{host} {port}: no such port")


def resolved(host: str, port: str) -> list[Resolved]:
    """What to bind for `host` and `port`. Raises BindFault."""
    _expect_port(host, port)
    try:
        known = socket.getaddrinfo(
            "0.0.0.0" if host == "0" else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as fault:
        raise BindFault(f"{host} {port}: {getattr(fault, 'strerror', 'no such host')}") from None
    return [(family, address) for family, _, _, _, address in dict.fromkeys(known)]


def _bound(host: str, port: str, backlog: int, nodelay: bool) -> list[socket.socket]:
    listening: list[socket.socket] = []
    for family, address in resolved(host, port):
        if listening and address[1] == 0:
            address = (address[0], listening[0].getsockname()[1], *address[2:])
        listening.append(_bind(socket.socket(family, socket.SOCK_STREAM), address, backlog, nodelay))
    return listening


def _bind(sock: socket.socket, address: tuple[Any, ...], backlog: int, nodelay: bool) -> socket.socket:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address[0] == "::" else 1)
    if nodelay:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            sock.bind(address)
            sock.listen(backlog)
        except OSError as fault:
            if fault.errno != errno.EADDRINUSE or time.monotonic() > until:
                sock.close()
                raise BindFault(f"unable to bind {address[0]} port {address[1]}: {fault.strerror}") from None
            time.sleep(0.02)
        else:
            return sock


def listen_unix(path: str, backlog: int, owner: int | None = None) -> socket.socket:
    """A Unix socket that listens at `path`, in the place of one that may be there; only `owner` may connect.

    `owner` is a user id, our own where it is None. Raises BindFault.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    draft = f"{path}.{os.getpid()}"
    mask = os.umask(0o177)
    try:
        replaceable(path)
        sock.bind(draft)
        sock.listen(backlog)
        if owner is not None:
            os.chown(draft, owner, -1, follow_symlinks=False)
        os.rename(draft, path)  # at no moment is there no socket
    except OSError as fault:
        sock.close()
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise BindFault(f"{path}: {fault.strerror or fault}") from None
    finally:
        os.umask(mask)
    sock.setblocking(False)
    return sock


def replaceable(path: str) -> None:
    """Raises BindFault where something that is no socket is at `path`: nobody's file is taken for one."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindFault(f"{path}: it is there, and no socket")


def _handed_over() -> list[socket.socket]:
    """The TCP sockets that LISTEN_FDS tells of, where it means us. Raises BindFault."""
    told = {name: os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if told["LISTEN_PID"] != str(os.getpid()):
        return []
    listening = []
    try:
        for descriptor in range(FIRST, FIRST + int(told["LISTEN_FDS"])):
            listening.append(socket.socket(fileno=os.dup(descriptor)))
    except (ValueError, OSError):
        raise BindFault(f"LISTEN_FDS={told['LISTEN_FDS']}: no such sockets") from None
    if any(sock.family not in (socket.AF_INET, socket.AF_INET6) for sock in listening):
        raise BindFault("LISTEN_FDS: a socket that is not TCP's")
    return listening
