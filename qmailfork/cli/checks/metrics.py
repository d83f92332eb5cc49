"""Where a listener tells what it counts: an address that it can open."""

import os
import socket
from collections.abc import Iterator

from qmailfork.cli import metering
from qmailfork.cli.checks.directory import Service
from qmailfork.cli.finding import ERROR, Finding
from qmailfork.system import sockets
from qmailfork.system.sockets import BindFault

WHY = "the listener does not start"
OPTION = "--metrics"
ROOT = (0, 0)  # who runs a supervisor


def findings(service: Service) -> Iterator[Finding]:
    """What is wrong with the address that the listener of `service` opens, to the eyes of the user who starts it."""
    where, address = str(service.script_file), service.chain.metrics
    if address is None:
        return
    if metering.is_missing():
        yield Finding(ERROR, where, f"{OPTION}: {metering.PACKAGE} is not installed", WHY, metering.INSTALLING)
    try:
        path, host, port = sockets.place(address)
        if not path:
            _try(host, port)
            return
        path = str(service.path(path))
        sockets.replaceable(path)
    except (BindFault, OSError) as fault:
        yield Finding(ERROR, where, f"{OPTION}: {fault}", WHY, "name a socket, unix:PATH, or a port of ours, HOST:PORT")
        return
    if os.path.dirname(path) not in service.script.directories:
        yield from _of_path(where, path, os.geteuid() in (0, (service.starter or ROOT)[0]))


def _try(host: str, port: str) -> None:
    """Bind any port at the addresses of `host`. Raises BindFault, OSError."""
    for family, address in sockets.resolved(host, port):
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            try:
                sock.bind((address[0], 0, *address[2:]))
            except OSError as fault:
                raise BindFault(f"{host}: {fault.strerror}") from None


def _of_path(where: str, path: str, is_starter: bool) -> Iterator[Finding]:
    directory = os.path.dirname(path)
    if len(os.fsencode(path)) > sockets.LONGEST:
        what = f"{OPTION}: {path} is longer than the path of a socket may be"
        yield Finding(ERROR, where, what, WHY, f"name one of at most {sockets.LONGEST} octets")
    elif not os.path.isdir(directory):
        what = f"{OPTION}: the directory {directory} is not there"
        yield Finding(ERROR, where, what, WHY, "make it, or name a socket in one that is")
    elif is_starter and not os.access(directory, os.W_OK | os.X_OK):
        what = f"{OPTION}: whoever starts the listener may not write in {directory}"
        yield Finding(ERROR, where, what, WHY, "name a socket in a directory of that user")
