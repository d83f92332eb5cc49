"""Waiting for programs (system/children.py, wrapped.py): with a pidfd, with the pipe of SIGCHLD where there is none,
and blindly where a kernel, or a filter in front of it, refuses the pidfd.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import PYTHON, ROOT, QmailHome, alive, running, wait_for

START = f"""
import posix, sys
from time import monotonic
way = sys.argv.pop(1)
if way == "pipe" and hasattr(posix, "pidfd_open"):
    del posix.pidfd_open
if way == "blind":
    posix.pidfd_open = lambda pid: posix.open("/absent", posix.O_RDONLY)
sys.path.insert(0, {str(ROOT)!r})
from qmailfork.system import children, signals, spawn
null = spawn.seal()

def run(argv, seconds=30, keep=65536, held=()):
    began = monotonic()
    ours, its = posix.pipe()
    signals.pthread_sigmask(signals.SIG_BLOCK, held)
    pid = spawn.launch([word.encode() for word in argv], posix.environ, ((null, 0), (its, 1)))
    posix.close(its)
    try:
        return children.outcome(pid, ours, seconds, keep, began, held)
    finally:
        posix.close(ours)
"""
ONE = """
import json
end = run(sys.argv[3:], float(sys.argv[1]) if sys.argv[1] != "None" else None, int(sys.argv[2]))
print(json.dumps([end.how, end.code, end.output.decode(), end.milliseconds, end.when]))
"""
ENDING = """
class Ended(Exception): pass
def end(number, frame): raise Ended
signals.signal(signals.SIGTERM, end)
try:
    run(sys.argv[1:], held=(signals.SIGTERM,))
except Ended:
    posix._exit(9)
"""
HELD = """
class Ended(Exception): pass
def end(number, frame): raise Ended
signals.signal(signals.SIGTERM, end)
ours, its = posix.pipe()
signals.pthread_sigmask(signals.SIG_BLOCK, (signals.SIGTERM,))
pid = spawn.launch([b"/bin/sleep", b"60"], posix.environ, ((null, 0), (its, 1)))
posix.kill(posix.getpid(), signals.SIGTERM)
try:
    children.outcome(pid, ours, 30, 0, monotonic(), (signals.SIGTERM,))
except Ended:
    try:
        posix.kill(pid, 0)
    except ProcessLookupError:
        posix._exit(9)
"""
LEAVING = """
from qmailfork.system.wrapped import Wrapped
Wrapped([word.encode() for word in sys.argv[1:]], posix.environ, 2).close()
try:
    posix.waitpid(-1, 0)
except ChildProcessError:
    print("nobody is left")
"""

pytestmark = pytest.mark.parametrize("way", ["pidfd", "pipe", "blind"])


def child(way: str, code: str, *words: str) -> list[str]:
    return [*PYTHON, "-c", START + code, way, *words]


class Ended:
    """How a program ended, as the child interpreter tells it."""

    def __init__(self, way: str, *argv: str, seconds: float | None = 30, keep: int = 65536) -> None:
        done = subprocess.run(
            child(way, ONE, str(seconds), str(keep), *argv), stdout=subprocess.PIPE, check=True, timeout=60
        )
        told: list[Any] = json.loads(done.stdout)
        self.how, self.code, self.output, self.milliseconds, self.when = told


@pytest.mark.parametrize("code", [0, 1, 100, 101, 127, 255])
@pytest.mark.parametrize("seconds", [30, None])
def test_exit_codes(way: str, home: QmailHome, code: int, seconds: float | None) -> None:
    end = Ended(way, str(home.fakes / "exit"), str(code), seconds=seconds)
    assert (end.how, end.code, end.output) == ("exit", code, "")
    assert 0 < end.milliseconds < 30000
    assert end.when > 1.6e9


@pytest.mark.parametrize(("name", "number"), [("KILL", 9), ("SEGV", 11), ("TERM", 15), ("CHLD", None)])
def test_signals(way: str, home: QmailHome, name: str, number: int | None) -> None:
    end = Ended(way, str(home.fakes / "die"), name)
    assert (end.how, end.code) == (("exit", 0) if number is None else ("signal", number))


def test_output_that_comes_right_before_the_end_is_kept(way: str) -> None:
    for _ in range(5):
        assert Ended(way, "/bin/sh", "-c", "echo one; echo two; exit 3").output == "one\ntwo\n"


@pytest.mark.parametrize("octets", [65535, 65536, 65537, 10_000_000])
def test_no_more_output_is_kept_than_asked_for(way: str, home: QmailHome, octets: int) -> None:
    end = Ended(way, str(home.fakes / "flood"), str(octets), "7")
    assert (end.how, end.code, len(end.output)) == ("exit", 7, min(octets, 65536))


def test_a_little_is_kept_of_a_little(way: str) -> None:
    assert Ended(way, "/bin/sh", "-c", "printf 123456", keep=4).output == "1234"


def test_a_program_that_closes_its_output_is_waited_for(way: str) -> None:
    end = Ended(way, "/bin/sh", "-c", "exec >&-; sleep 0.2; exit 3")
    assert (end.how, end.code) == ("exit", 3)
    assert end.milliseconds > 199


def test_a_child_left_behind_delays_nobody_and_is_let_live(way: str, home: QmailHome) -> None:
    file = home.path / "pid"
    end = Ended(way, str(home.fakes / "leave"), str(file), "5")
    assert (end.how, end.code) == ("exit", 5)
    assert end.milliseconds < 20000
    left = int(file.read_text())
    assert alive(left)
    subprocess.run(["kill", str(left)], check=True)


def test_a_child_that_goes_on_writing_delays_nobody(way: str) -> None:
    end = Ended(way, "/bin/sh", "-c", "yes & exit 5")
    assert (end.how, end.code) == ("exit", 5)
    assert len(end.output) <= 65536


def test_at_the_end_of_its_time_the_whole_group_is_killed(way: str, home: QmailHome) -> None:
    file = home.path / "pids"
    end = Ended(way, str(home.fakes / "stubborn"), str(file), seconds=1)
    assert (end.how, end.code) == ("timeout", 0)
    assert 1000 <= end.milliseconds < 20000
    for pid in file.read_text().split():
        wait_for(lambda pid=pid: not alive(int(pid)), what="the group's end")  # type: ignore[misc]


def test_what_was_written_before_the_time_was_over_is_kept(way: str) -> None:
    assert Ended(way, "/bin/sh", "-c", "echo so far; exec sleep 60", seconds=0.5).output == "so far\n"


def test_a_wait_that_is_broken_off_kills_the_group(way: str, home: QmailHome, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    with running(child(way, ENDING, str(home.fakes / "stubborn"), str(file))) as process:
        wait_for(file.exists, what="the program")
        process.terminate()
        assert process.wait(30) == 9
    for pid in file.read_text().split():
        wait_for(lambda pid=pid: not alive(int(pid)), what="the group's end")  # type: ignore[misc]


def test_a_signal_held_back_since_before_the_start_ends_the_program(way: str) -> None:
    assert subprocess.run(child(way, HELD), timeout=60, check=False).returncode == 9


def test_hundreds_in_a_row_leave_no_descriptor_and_no_child(way: str, home: QmailHome) -> None:
    code = """
def free():
    number = posix.dup(0)
    posix.close(number)
    return number
run(sys.argv[1:])
before = free()
codes = {run([sys.argv[1], str(number % 200)]).code == number % 200 for number in range(300)}
assert codes == {True} and free() == before
try:
    posix.waitpid(-1, posix.WNOHANG)
except ChildProcessError:
    posix._exit(9)
"""
    program = tmp_exit(home)
    assert subprocess.run(child(way, code, program), check=False, timeout=100).returncode == 9


def tmp_exit(home: QmailHome) -> str:
    """A small C program that exits with its first argument."""
    source, program = home.path / "exit.c", home.path / "exit"
    source.write_text("#include <stdlib.h>\nint main(int c, char **v) { return c > 1 ? atoi(v[1]) : 0; }\n")
    subprocess.run(["cc", "-o", str(program), str(source)], check=True)
    return str(program)


def test_leaving_a_wrapped_smtpd(way: str) -> None:
    done = subprocess.run(child(way, LEAVING, "/bin/cat"), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("nobody is left\n", "")
