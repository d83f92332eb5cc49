"""A look at the sockets of another process (Linux: pidfd_getfd(2))."""

import ctypes
import os
import socket
import struct

PIDFD_GETFD = 438  # of every architecture
_libc = ctypes.CDLL(None, use_errno=True)


def socket_of(pid: int, local_port: int, connected: bool) -> socket.socket:
    """The TCP socket at `local_port` that the process `pid` has. LookupError where there is none."""
    pidfd = os.pidfd_open(pid)
    try:
        for number in sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd")):
            if os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                sock = socket.socket(fileno=_get(pidfd, number))
                if _is_at(sock, local_port) and connected != _listens(sock):
                    return sock
                sock.close()
    finally:
        os.close(pidfd)
    raise LookupError(f"process {pid} has no such socket")


def _is_at(sock: socket.socket, local_port: int) -> bool:
    return sock.family in (socket.AF_INET, socket.AF_INET6) and sock.getsockname()[1] == local_port


def _listens(sock: socket.socket) -> bool:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0


def _get(pidfd: int, number: int) -> int:
    got = _libc.syscall(PIDFD_GETFD, pidfd, number, 0)
    if got == -1:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return got


def backlog(listening: socket.socket) -> int:
    """How many connections may wait at a listening socket: where Linux tells it, in tcp_info's tcpi_sacked."""
    info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("8B24I", info)[8 + 5])
