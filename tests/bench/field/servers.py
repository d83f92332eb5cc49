"""The servers of the field: how each is started with the place's queue program, and why one is left out."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.bench import listener
from tests.bench.place import HERE, Place
from tests.servers import REFERENCE, in_namespace, reference_there
from tests.support import smtpd, wait_for
from tests.ucspi import Server, end_group

DOMAIN = "joedomain.net"
HARAKA = HERE.parent.parent / ".cache" / "haraka" / "node_modules" / "Haraka" / "bin" / "haraka"


@dataclass(frozen=True)
class Entrant:
    """A server: `missing` says what it lacks here, empty for nothing."""

    name: str
    open: Callable[[Place], AbstractContextManager[Server]]
    missing: str = ""


def found(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/bin:/usr/local/sbin")


def lacking(name: str) -> str:
    return "" if found(name) else f"no {name} here"


@contextmanager
def on_port(place: Place, argv: Callable[[int], list[str]], **more: str) -> Iterator[Server]:
    """A server that has to be told its port; the one that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**listener.environment(place), "PATH": os.environ["PATH"], **more}
    log_file = place.path / f"log.{port}"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            argv(port), env=env, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
    server = Server("127.0.0.1", port, process, log_file)
    with process:
        try:
            wait_for(lambda: greets(server), what=f"{argv(port)[0]}: {log_file}")
            yield server
        finally:
            end_group(process)


def greets(server: Server) -> bool:
    try:
        with server.connect() as client:
            return any(line.startswith(b"220") for line in client.reply())
    except OSError:
        return False


def under_tcpserver(*program: str, **more: str) -> Callable[[Place], AbstractContextManager[Server]]:
    return lambda place: listener.under_tcpserver(place, *program, **more)


def spamdyke(place: Place) -> AbstractContextManager[Server]:
    return listener.under_tcpserver(
        place, str(found("spamdyke")), *in_namespace(place.path / "control", str(REFERENCE))
    )


def qpsmtpd(place: Place) -> AbstractContextManager[Server]:
    """Its own directory of settings: take every recipient of our domain, hand it to the queue program."""
    home = place.path / "qpsmtpd"
    files = {
        "plugins": f"rcpt_ok\nqueue/qmail-queue {place.program('sink')}\n",
        "plugin_dirs": "/usr/share/qpsmtpd/plugins\n",
        "rcpthosts": f"{DOMAIN}\n",
        "loglevel": "0\n",
        "logging": "logging/warn 0\n",
        "spool_dir": f"{home}/spool\n",
    }
    (home / "spool").mkdir(parents=True, mode=0o700)
    for name, text in files.items():
        (home / name).write_text(text)
    options = [
        "--interface",
        "127.0.0.1",
        "--user",
        "root",
        "--max-from-ip",
        "0",
        "--children",
        "100",
        "--idle-children",
        "10",
    ]
    return on_port(
        place, lambda port: [str(found("qpsmtpd-prefork")), *options, "--port", str(port)], QPSMTPD_CONFIG=str(home)
    )


def aiosmtpd(place: Place) -> AbstractContextManager[Server]:
    return on_port(place, lambda port: [sys.executable, str(HERE / "field" / "aio.py"), str(port)])


def haraka(place: Place) -> AbstractContextManager[Server]:
    """One process for each processor, as its manual advises."""
    config = place.path / "haraka" / "config"
    config.mkdir(parents=True)
    files = {
        "plugins": "rcpt_to.in_host_list\nqueue/qmail-queue\n",
        "host_list": f"{DOMAIN}\n",
        "qmail-queue.path": place.program("sink"),
        "log.ini": "[main]\nlevel=ERROR\n",
        "loglevel": "ERROR\n",
        "connection.ini": (HARAKA.parent.parent / "config" / "connection.ini").read_text(),
        "me": f"mail.{DOMAIN}\n",
    }

    def argv(port: int) -> list[str]:
        (config / "smtp.ini").write_text(f"listen=127.0.0.1:{port}\nnodes=cpus\n")
        return ["node", str(HARAKA), "-c", str(config.parent)]

    for name, text in files.items():
        (config / name).write_text(text)
    return on_port(place, argv)


NO_C = "" if reference_there() else "no C qmail-smtpd here"
ENTRANTS = (
    Entrant("tcpserver, qmail-smtpd in C", under_tcpserver(str(REFERENCE)), NO_C),
    Entrant("qmailfork listen", listener.warm),
    Entrant("tcpserver, qmailfork-handoff", listener.handed_off),
    Entrant("tcpserver, qmailfork-smtpd", under_tcpserver(*smtpd())),
    Entrant("tcpserver, mailfront", under_tcpserver(str(found("smtpfront-qmail"))), lacking("smtpfront-qmail")),
    Entrant("tcpserver, spamdyke, qmail-smtpd in C", spamdyke, lacking("spamdyke") or NO_C),
    Entrant("qpsmtpd-prefork", qpsmtpd, lacking("qpsmtpd-prefork")),
    Entrant("aiosmtpd", aiosmtpd),
    Entrant("Haraka", haraka, "" if HARAKA.exists() and found("node") else "no Haraka here"),
)
