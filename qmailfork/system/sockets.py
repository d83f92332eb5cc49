"""Listening sockets: bound as tcpserver does, or handed over by the service manager (sd_listen_fds(3))."""

import errno
import os
import socket
import time

BACKLOG = 1000  # tcpserver's own 20 drops connections as soon as a hundred come at once
MOST_PORT = 65535
FIRST = 3  # descriptor of LISTEN_FDS
PATIENCE = 2.0  # seconds for the workers of an instance that was killed to let go of the address
REPLIES = 65536  # octets in the kernel for a client that does not read; by itself it would take megabytes


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
    if address.startswith("unix:"):
        return [listen_unix(address.removeprefix("unix:"), backlog)]
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise BindFault(f"{address}: neither unix:PATH nor HOST:PORT")
    return _bound(host.removeprefix("[").removesuffix("]"), port, backlog, nodelay=False)


def _bound(host: str, port: str, backlog: int, nodelay: bool) -> list[socket.socket]:
    if port.isdigit() and int(port) > MOST_PORT:  # the C library would take the rest of a division
        raise BindFault(f"{host} {port}: no such port")
    try:
        found = socket.getaddrinfo(
            "0.0.0.0" if host == "0" else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as fault:
        raise BindFault(f"{host} {port}: {fault.strerror}") from None
    listening: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        if listening and address[1] == 0:
            address = (address[0], listening[0].getsockname()[1], *address[2:])
        listening.append(_bind(socket.socket(family, kind, protocol), address, backlog, nodelay))
    return listening


def _bind(sock: socket.socket, address: tuple[object, ...], backlog: int, nodelay: bool) -> socket.socket:
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
        sock.bind(draft)
        sock.listen(backlog)
        if owner is not None:
            os.chown(draft, owner, -1, follow_symlinks=False)
        os.rename(draft, path)  # at no moment is there no socket
    except OSError as fault:
        sock.close()
        raise BindFault(f"{path}: {fault.strerror}") from None
    finally:
        os.umask(mask)
    sock.setblocking(False)
    return sock


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
