"""Where the processor's time goes: of a listener's session by who takes it, of a cold start by its parts."""

import argparse
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.listener import SOURCE, send, warm, workers
from tests.bench.measure import in_turns, timed
from tests.bench.place import Place, place
from tests.support import PYTHON, ROOT, smtpd

AT_ONCE = 10
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds
SCRIPT = ROOT / "bin" / "qmailfork-smtpd"
LAST = "run(program, modules)\n"  # of the script: before it the bundle is read
IMPORT = "sys.meta_path.insert(0, Importer(modules))\n__import__('qmailfork.drivers.stdio')"  # what it begins with
LEAVE = "import posix; posix._exit(0)"  # as a session ends: without taking anything down


@dataclass(frozen=True)
class Shares:
    """Microseconds of processor time for each session."""

    python: float
    kernel: float
    programs: float
    client: float

    @property
    def sum(self) -> float:
        return self.python + self.kernel + self.programs + self.client


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests/bench/profile", description=__doc__)
    parser.add_argument("--messages", type=int, default=5000, help="sessions that are measured (default 5000)")
    parser.add_argument("--runs", type=int, default=100, help="cold starts of each kind (default 100)")
    given = parser.parse_args()
    if SOURCE is None or not Path("/proc/self/stat").exists():
        parser.error("needs smtp-source (postfix) and Linux's /proc")
    with place(given.runs) as here:
        print(of_sessions(shares(here, given.messages), shares(here, given.messages, here.program("pass"))))
        print(of_start(start(here)))


def shares(here: Place, messages: int, checker: str = "") -> Shares:
    """Who takes how much of a session with one message, and one recipient with this `checker`."""
    with warm(here, "--workers", "1", SMTPEXTFORKR=checker) as server:
        send(server, AT_ONCE, 10 * AT_ONCE)
        (worker,) = workers(server)
        before, ours = spent(worker), client()
        send(server, AT_ONCE, messages)
        python, kernel, programs = (
            1e6 * (now - then) / messages for now, then in zip(spent(worker), before, strict=True)
        )
        return Shares(python, kernel, programs, 1e6 * (client() - ours) / messages)


def spent(pid: int) -> tuple[float, float, float]:
    """Seconds that a process has spent itself, the kernel for it, and its programs that have ended (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, kernel, theirs, their_kernel = (int(field) * TICK for field in fields[11:15])
    return own, kernel, theirs + their_kernel


def client() -> float:
    """Seconds that smtp-source, which has ended, has spent."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def of_sessions(bare: Shares, checked: Shares) -> str:
    """The first table."""
    rows: list[tuple[str, Callable[[Shares], float]]] = [
        ("the queue program (and checker): start, work, end", lambda share: share.programs),
        ("the worker, in Python", lambda share: share.python),
        ("the kernel, for the worker: sockets, pipes, starting programs", lambda share: share.kernel),
        ("the client, smtp-source", lambda share: share.client),
        ("together", lambda share: share.sum),
    ]
    lines = ["| a session of the listener, its processor time | one message | and a checker |", "|---|---|---|"]
    for what, part in rows:
        cells = (f"{part(share):.0f} µs, {part(share) / share.sum:.0%}" for share in (bare, checked))
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def start(here: Place) -> list[float]:
    """Seconds of processor time: of no program, Python, our script up to each of its stages, a whole session."""
    text, env, quit_file = SCRIPT.read_text(), here.environment(), here.said("quit", b"QUIT\r\n")
    begun = f"__file__ = {str(SCRIPT)!r}\n{text[: text.index(LAST)]}"
    cuts = [f"{begun}\n{LEAVE}", f"{begun}\n{IMPORT}\n{LEAVE}"]
    programs = [[here.program("pass")], [*PYTHON, "-c", LEAVE], *([*PYTHON, "-c", cut] for cut in cuts), smtpd()]
    for argv in programs:
        timed(argv, env, quit_file)  # the bundle is written by now
    sides = [lambda argv=argv: cost(argv, env, quit_file) for argv in programs]  # type: ignore[misc]
    return [times.best for times in in_turns(here.runs, *sides)]


def cost(argv: list[str], env: dict[str, str], stdin: Path) -> float:
    """Seconds of processor time that the program takes, from its exec on."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    timed(argv, env, stdin)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def of_start(seconds: list[float]) -> str:
    """The second table."""
    parts = (
        "a process of C that does nothing",
        "Python's own start (`-I -S`)",
        "finding the package, reading its bundle",
        "making the modules of it",
        "control files, environment, greeting, QUIT",
    )
    lines = ["| a cold session under tcpserver, its processor time | ms |", "|---|---|"]
    for part, now, before in zip(parts, seconds, [0.0, *seconds], strict=False):
        lines.append(f"| {part} | {1000 * (now - before):.2f} |")
    return "\n".join([*lines, f"| together | {1000 * seconds[-1]:.2f} |"])


if __name__ == "__main__":
    main()
