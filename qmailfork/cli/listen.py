"""`qmailfork listen`: the warm listener, with tcpserver's options."""

import importlib.util
import ipaddress
import os
import socket
import sys
from typing import Any

import click

from qmailfork.cli import metering, surroundings
from qmailfork.cli.faults import Fatal, Strict
from qmailfork.conversation.settings import ControlFault
from qmailfork.drivers.listener import Listener
from qmailfork.drivers.worker import profile, stock
from qmailfork.drivers.worker.options import Options
from qmailfork.drivers.worker.worker import Sockets
from qmailfork.system import config, sockets, spawn
from qmailfork.system.tcprules import Rules

METRICS_BACKLOG = 10
NAMED = {"-x": "rules", "--handoff": "handoff", "--metrics": "metrics", "--pid-file": "pid_file"}
SETTINGS = {"allow_interspersed_args": False, "max_content_width": 100}
MOST_ID = (1 << 32) - 2  # the one above it stands for none (setuid(2))


def _count(lowest: int, most: int | None = None) -> click.IntRange:
    return click.IntRange(lowest, most)


@click.command(cls=Strict, context_settings=SETTINGS)
@click.option("-c", "limit", type=_count(1), default=40, show_default=True, help="Sessions at once, over all workers.")
@click.option("-x", "rules", type=click.Path(), help="Rules in a cdb made by tcprules; read again when it changes.")
@click.option("-X", "rules_optional", is_flag=True, help="Allow everyone where the file of -x does not exist.")
@click.option("-B", "banner", default="", help="Write this as soon as a client has connected.")
@click.option("-g", "gid", type=_count(0, MOST_ID), help="Change to this group id before serving.")
@click.option("-u", "uid", type=_count(0, MOST_ID), help="Change to this user id before serving.")
@click.option("-U", "from_environment", is_flag=True, help="Change to $GID and $UID, as -g and -u do.")
@click.option("-l", "local_name", help="Our own name, instead of asking DNS for it.")
@click.option("-1", "print_port", is_flag=True, help="Print the port number on standard output.")
@click.option(
    "-b",
    "backlog",
    type=_count(1),
    default=sockets.BACKLOG,
    show_default=True,
    help="Connections that may wait to be accepted (tcpserver: 20).",
)
@click.option("-d/-D", "delay", default=True, help="Let the system delay small packets (default), or never.")
@click.option("-o/-O", "keep_ip_options", default=False, help="Leave a client's IP options alone, or not (default).")
@click.option(
    "-p/-P",
    "paranoid",
    default=False,
    help="Believe a client's name only if it has the client's address, or always (default).",
)
@click.option("-h/-H", "look_up_host", default=True, help="Look up the client's name in DNS (default), or do not.")
@click.option("-r/-R", "ident", default=True, help="Ask the client's ident server for its user (default), or do not.")
@click.option(
    "-t",
    "ident_seconds",
    type=click.FloatRange(0, min_open=True),
    default=26,
    show_default=True,
    help="Seconds for the ident server.",
)
@click.option("-v", "verbosity", flag_value=2, type=int, help="Log every connection.")
@click.option("-q", "verbosity", flag_value=0, type=int, help="Log nothing of our own, not even errors.")
@click.option("-Q", "verbosity", flag_value=1, type=int, default=1, help="Log errors (default).")
@click.option("--workers", type=_count(1), help="Worker processes.  [default: one for each processor]")
@click.option(
    "--per-ip", type=_count(0), default=0, show_default=True, help="Sessions of one address at once; 0: no limit."
)
@click.option(
    "--session-octets",
    "most_octets",
    type=_count(0),
    default=0,
    show_default=True,
    help="Octets that one session may send; 0: no limit.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    help="Seconds for open sessions after SIGTERM; 0: no limit.",
)
@click.option(
    "--loop",
    type=click.Choice(["auto", "asyncio", "uvloop"]),
    default="auto",
    show_default=True,
    help="Event loop; auto takes uvloop where it is installed.",
)
@click.option("--smtps", is_flag=True, help="TLS from the first octet on HOST and PORT.")
@click.option("--proxy", "proxies", multiple=True, help="Networks of load balancers that send the PROXY header.")
@click.option(
    "--proxy-seconds",
    type=click.FloatRange(0, min_open=True),
    default=10,
    show_default=True,
    help="How long that header may take.",
)
@click.option("--pid-file", type=click.Path(), help="Write our process id to this file.")
@click.option("--daemon", is_flag=True, help="Go to the background; standard error stays the log.")
@click.option("--handoff", type=click.Path(), help="Take sessions from qmailfork-handoff at this Unix socket, too.")
@click.option("--metrics", metavar="unix:PATH|HOST:PORT", help="Tell there what is counted, for Prometheus.")
@click.argument("host", required=False)
@click.argument("port", required=False)
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
def listen(**given: Any) -> None:
    """Serve SMTP on HOST (0 is every address) and PORT, with no start-up for each connection.

    With a PROGRAM, which speaks SMTP on its descriptors 0 and 1, stand in front of it.

    The options with one letter are tcpserver's, with its meaning and its defaults. HOST and PORT may be left out
    where there is --handoff.
    """
    for option, name in NAMED.items():
        if given[name] == "":  # a variable that is not set, most likely
            raise click.UsageError(f"{option} is empty")
    try:
        null = spawn.seal()
        uid, gid = account(given)
        listening = bind(given, uid)
        metrics = measure(given["metrics"])
        stock.load()  # while we surely may read it
        if given["look_up_host"] or given["ident"] or given["local_name"] is None:
            _bring_names()
        become(uid, gid)
        told = options(given)
        rehearse(told)
        listener = Listener(listening, told, null, metrics)
    except (sockets.BindFault, ControlFault, OSError, ValueError) as fault:
        raise Fatal(surroundings.said(fault)) from None
    if given["daemon"] and given["pid_file"]:
        _try_pid(given["pid_file"])  # while whoever started us hears that it cannot be
    if given["print_port"]:
        click.echo(listening.tcp[0].getsockname()[1] if listening.tcp else 0)
    for standard in (0, 1):  # as tcpserver does: nobody shall wait for the end of what we hold
        os.dup2(null, standard)
    if given["daemon"]:
        sys.exit(in_background(listener, listening.all(), given["pid_file"]))
    if given["pid_file"]:
        _write_pid(given["pid_file"])
    sys.exit(listener.run())


def bind(given: dict[str, Any], uid: int | None) -> Sockets:
    """The sockets to listen on; that of --handoff is the user's who serves, `uid`. Raises sockets.BindFault."""
    if given["host"] is None and given["handoff"] is None:
        raise click.UsageError("HOST and PORT are missing")
    if given["host"] is not None and given["port"] is None:
        raise click.UsageError("PORT is missing")
    tcp = []
    if given["host"] is not None:
        tcp = sockets.listen(given["host"], given["port"], given["backlog"], not given["delay"])
    place = given["handoff"]
    handoff = sockets.listen_unix(place, given["backlog"], uid) if place is not None else None
    return Sockets(tcp, handoff)


def measure(address: str | None) -> list[socket.socket]:
    """The sockets of --metrics; none where it was not given. Raises sockets.BindFault, Fatal."""
    if address is None:
        return []
    metering.expect("--metrics")
    return sockets.listen_at(address, METRICS_BACKLOG)


def options(given: dict[str, Any]) -> Options:
    """What the workers go by, from what was `given` on the command line."""
    told = Options()
    for name in ("limit", "rules_optional", "keep_ip_options", "paranoid", "look_up_host", "verbosity", "per_ip",
                 "most_octets", "grace", "loop", "smtps", "proxy_seconds"):  # fmt: skip
        setattr(told, name, given[name])
    told.rules = _from_here(given["rules"]) if given["rules"] is not None else None
    told.banner = os.fsencode(given["banner"])
    told.local_name = os.fsencode(given["local_name"]) if given["local_name"] is not None else None
    told.ident_seconds = given["ident_seconds"] if given["ident"] else 0.0
    told.program = [os.fsencode(word) for word in given["program"]]
    if told.program:
        told.program[0] = spawn.located(told.program[0], os.environb)
    told.proxies = _networks(given["proxies"])
    told.workers = given["workers"] or os.cpu_count() or 1
    return told


def _from_here(path: str) -> bytes:
    """`path`, good in any directory: a worker goes to qmail's home to start a program. Raises OSError."""
    return os.fsencode(path if os.path.isabs(path) else os.path.join(os.getcwd(), path))


def _networks(texts: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(word) for text in texts for word in text.replace(",", " ").split()]
    except ValueError as fault:
        raise click.UsageError(f"--proxy: {fault}") from None


def rehearse(told: Options) -> None:
    """Read what every worker will read, so that one line tells what is wrong. Raises ControlFault, Fatal."""
    profile.controls_of(config.home(config.received()), told.program)
    Rules(told.rules, told.rules_optional)
    if told.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise Fatal("--loop: uvloop is not installed")


def _bring_names() -> None:
    """Load what look-ups need while we surely may read it. Raises Fatal."""
    try:
        importlib.import_module("qmailfork.drivers.worker.visit")
    except ImportError as fault:
        raise Fatal(f"dnspython, which looks names up (-h, -r, no -l): {fault}") from None


def account(given: dict[str, Any]) -> tuple[int | None, int | None]:
    """The ids of user and group that -u, -g or -U say; None: as we are. Raises ValueError."""
    if not given["from_environment"]:
        return given["uid"], given["gid"]
    ids = [os.environ.get(name, "") for name in ("UID", "GID")]
    if not all(text.isascii() and text.isdigit() and int(text) <= MOST_ID for text in ids):
        raise ValueError("-U: $UID and $GID are not both set to numbers")
    return int(ids[0]), int(ids[1])


def become(uid: int | None, gid: int | None) -> None:
    """Change to this user and group. Raises ValueError."""
    for option, number, change in (("-g", gid, _join), ("-u", uid, os.setuid)):
        if number is not None:
            try:
                change(number)
            except OSError as fault:
                raise ValueError(f"{option} {number}: {fault.strerror}") from None


def _join(gid: int) -> None:
    os.setgroups([gid])
    os.setgid(gid)


def in_background(listener: Listener, listening: list[socket.socket], pid_file: str | None) -> int:
    """Run as python-daemon has it: detached, everything closed but sockets, log and the listener's own."""
    from daemon import DaemonContext  # noqa: PLC0415  # nobody else needs it

    keep = [*listening, *listener.descriptors()]
    with DaemonContext(files_preserve=keep, stderr=sys.stderr, working_directory=os.getcwd(), umask=os.umask(0o077)):
        if pid_file:
            _write_pid(pid_file)
        return listener.run()


def _try_pid(path: str) -> None:
    """Whether it can be written, which leaves no file behind that was not there. Raises Fatal."""
    there = os.path.exists(path)
    try:
        with open(path, "a", encoding="ascii"):
            pass
        if not there:
            os.unlink(path)
    except OSError as fault:
        raise Fatal(f"{path}: {fault.strerror}") from None


def _write_pid(path: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    except OSError as fault:
        raise Fatal(f"{path}: {fault.strerror}") from None
