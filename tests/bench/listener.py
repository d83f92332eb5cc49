"""The rows for the warm listener and the hand-off, beside tcpserver with the C qmail-smtpd."""

import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.measure import Dialogue, Row, Times, in_turns, milliseconds, ratio
from tests.bench.place import Place
from tests.bench.schemes import over_listener
from tests.servers import REFERENCE, in_namespace, reference_there
from tests.smtpclient import Client
from tests.support import PYTHON, build_handoff, qmailfork, running, wait_for
from tests.tlsclient import certificate, over_tls
from tests.ucspi import Server, listening

SOURCE = shutil.which("smtp-source") or shutil.which("smtp-source", path="/usr/sbin")
NAMES = ("-H", "-R", "-l", "mail.joedomain.net")
MESSAGES = 2000
LARGE = 20_000_000
IDLE = 10_000
SECURE = 1000
SESSIONS_BUDGET, HANDOFF_BUDGET, CHECKER_BUDGET, LARGE_BUDGET = 2.0, 0.9, 0.85, 3.0
IDLE_BUDGET, SECURE_BUDGET = 12.0, 60.0  # KiB
RECIPIENTS = 20


def environment(place: Place) -> dict[str, str]:
    """What a server inherits: the TCP variables are its own to set."""
    return {name: value for name, value in place.environment().items() if not name.startswith(("TCP", "PROTO"))}


@contextmanager
def warm(place: Place, *options: str, **more: str) -> Iterator[Server]:
    """`qmailfork listen` with these options and `more` in its environment."""
    argv = [*PYTHON, *qmailfork("listen", "-1", *NAMES, "-c", "200", *options, "127.0.0.1", "0")[1:]]
    with listening(argv, {**environment(place), **more}, place.path / "log", "127.0.0.1") as server:
        yield server


@contextmanager
def under_tcpserver(place: Place, *program: str) -> Iterator[Server]:
    argv = ["tcpserver", "-1", *NAMES, "-c", "200", "-b", "200", "127.0.0.1", "0", *program]
    if program[0] == str(REFERENCE):
        argv = in_namespace(place.path / "control", *argv)
    with listening(argv, environment(place), place.path / "log", "127.0.0.1") as server:
        yield server


@contextmanager
def handed_off(place: Place) -> Iterator[Server]:
    """tcpserver, the hand-off program, and a warm listener behind them."""
    program, path = str(build_handoff(place.path)), place.path / "socket"
    argv = [*PYTHON, *qmailfork("listen", "-c", "200", "--handoff", str(path))[1:]]
    with running(argv, env=environment(place), stderr=subprocess.DEVNULL):
        wait_for(path.exists, what="the listener")
        with under_tcpserver(place, program, str(path)) as server:
            yield server


def send(server: Server, sessions: int, messages: int, octets: int = 2000, seconds: float = 300) -> float:
    """Seconds for each of so many messages, each on a connection of its own, so many at a time.

    Raises subprocess.SubprocessError where one is not taken, or it takes more than `seconds` in all.
    """
    began = time.perf_counter()
    subprocess.run(
        [str(SOURCE), "-s", str(sessions), "-m", str(messages), "-l", str(octets), "-f", "a@example.net",
         "-t", "joe@joedomain.net", f"127.0.0.1:{server.port}"],
        check=True, capture_output=True, timeout=seconds,
    )  # fmt: skip
    return (time.perf_counter() - began) / messages


def unmeasured(what: str, budget: str) -> Row | None:
    """The row where something that it needs is not here."""
    missing = "smtp-source (postfix)" if SOURCE is None else "C qmail-smtpd" if not reference_there() else ""
    return Row(what, "-", f"no {missing} here", "-", "-", budget) if missing else None


def sessions(
    place: Place, what: str, ours: Callable[[Place], object], at_once: int, budget: float, octets: int = 2000
) -> Row:
    """Messages through `ours`, beside tcpserver with the C qmail-smtpd."""
    messages = MESSAGES if octets < LARGE else at_once
    row = unmeasured(what, f"≥ {budget} x")
    if row:
        return row
    with ExitStack() as stack:
        mine: Server = stack.enter_context(ours(place))  # type: ignore[arg-type]
        theirs: Server = stack.enter_context(under_tcpserver(place, str(REFERENCE)))
        for server in (mine, theirs):
            send(server, at_once, at_once, octets)
        one, other = in_turns(
            place.runs, lambda: send(mine, at_once, messages, octets), lambda: send(theirs, at_once, messages, octets)
        )
    result, best = ratio(one, other)
    return Row(
        what, speed(one, octets), "`tcpserver qmail-smtpd` in C", speed(other, octets), result, f"≥ {budget} x",
        best >= budget,
    )  # fmt: skip


def speed(times: Times, octets: int) -> str:
    return f"{octets / times.best / 1e6:.0f} MB/s" if octets >= LARGE else f"{1 / times.best:.0f}/s"


def checker(place: Place) -> Row:
    """A recipient with one checker, in the course of a session, beside spawning and waiting in C."""
    program = place.program("pass")
    peer = [place.program("spawn"), str(RECIPIENTS), program]
    with over_listener(place, program) as session, Dialogue(peer, place.environment()) as spawner:
        ours, theirs = in_turns(place.runs * 30, session.seconds, lambda: spawner.seconds(b"\n", 1) / RECIPIENTS)
    result, best = ratio(ours, theirs)
    return Row(
        "a recipient with one checker, listener", milliseconds(ours.best), "`posix_spawn` and wait in C",
        milliseconds(theirs.best), result, f"≥ {CHECKER_BUDGET} x", best >= CHECKER_BUDGET,
    )  # fmt: skip


def workers(server: Server) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True, check=True)
    return [int(pid) for pid in listed.stdout.split()]


def resident_kib(server: Server) -> int:
    """The memory of all workers, what they share counted once (PSS), in KiB."""
    maps = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in workers(server)]
    return sum(int(text.partition("\nPss:")[2].split()[0]) for text in maps)


def held(place: Place, number: int, open_one: Callable[[Server], Client]) -> tuple[float, float]:
    """KiB that each of so many open sessions takes, and the seconds until one more is open."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        server = stack.enter_context(warm(place, "-c", str(number + 100), "-b", "4096"))

        def take(more: int) -> None:
            for _ in range(more):
                stack.enter_context(open_one(server))

        take(100)
        before = resident_kib(server)
        take(number - 100)
        each = (resident_kib(server) - before) / (number - 100)
        began = time.perf_counter()
        take(1)
        return each, time.perf_counter() - began


def greeted(server: Server) -> Client:
    """A client that has said EHLO."""
    client = server.connect()
    client.reply()
    client.command("EHLO foo")
    return client


def idle(place: Place) -> Row:
    """Memory of sessions that have greeted and say no more, and how soon one more is greeted."""
    number = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1000)
    each, took = held(place, number, greeted)
    return Row(
        f"{number} idle sessions, listener", f"{each:.1f} KiB each", "-", "-",
        f"one more is greeted in {milliseconds(took)}", f"≤ {IDLE_BUDGET:g} KiB each, ≤ 100 ms",
        each <= IDLE_BUDGET and took <= 0.1,
    )  # fmt: skip


def secure(place: Place) -> Row:
    """Memory of sessions under TLS that have greeted and say no more."""
    trusted = certificate(place)

    def open_one(server: Server) -> Client:
        client = greeted(server)
        client.command("STARTTLS")
        client = over_tls(client, trusted)
        client.command("EHLO foo")
        return client

    each, took = held(place, SECURE, open_one)
    return Row(
        f"{SECURE} sessions under TLS, listener", f"{each:.1f} KiB each", "-", "-",
        f"one more is there in {milliseconds(took)}", f"< {SECURE_BUDGET:g} KiB each", each < SECURE_BUDGET,
    )  # fmt: skip


def growth(place: Place) -> Row:
    """Memory while ten messages of 20 MB come in at once, beside ten small ones."""
    what = "memory: ten messages of 20 MB at once, listener"
    if SOURCE is None:
        return Row(what, "-", "no smtp-source (postfix) here", "-", "-", "≤ 4096 KiB more each")
    with warm(place) as server:
        send(server, 10, 10)
        small = peak_kib(server)
        send(server, 10, 10, LARGE)
        more = (peak_kib(server) - small) / 10
    return Row(what, f"{more:.0f} KiB more each", "-", "-", "-", "≤ 4096 KiB more each", more <= 4096)


def peak_kib(server: Server) -> int:
    """The most memory that the workers had so far, in KiB."""
    status = [Path(f"/proc/{pid}/status").read_text() for pid in workers(server)]
    return sum(int(text.partition("VmHWM:")[2].split()[0]) for text in status)


def loop(kind: str) -> Callable[[Place], object]:
    return lambda place: warm(place, "--loop", kind)


ROWS: dict[str, Callable[[Place], Row]] = {
    **{
        f"listener-{at_once}-{kind}": lambda place, at_once=at_once, kind=kind: sessions(  # type: ignore[misc]
            place, f"sessions of 2 kB, {at_once} at once, listener on {kind}", loop(kind), at_once, SESSIONS_BUDGET
        )
        for at_once in (10, 100)
        for kind in ("asyncio", "uvloop")
    },
    "handoff-10": lambda place: sessions(
        place, "sessions of 2 kB, 10 at once, hand-off", handed_off, 10, HANDOFF_BUDGET
    ),
    "listener-checker": checker,
    "listener-large": lambda place: sessions(
        place, "ten messages of 20 MB at once, listener", loop("auto"), 10, LARGE_BUDGET, LARGE
    ),
    "listener-memory": growth,
    "listener-idle": idle,
    "listener-tls": secure,
}
