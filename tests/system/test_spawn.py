"""What a program that is started finds: descriptors, signals, process group (system/spawn.py)."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import PYTHON, ROOT, QmailHome, recorded

START = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
LAUNCH = """
import posix
from qmailfork.system import signals, spawn
null = spawn.seal()
ours, its = posix.pipe()
signals.pthread_sigmask(signals.SIG_BLOCK, (signals.SIGTERM, signals.SIGCHLD))
pid = spawn.launch([name.encode() for name in sys.argv[1:]], {b"A": b"b"}, ((null, 0), (its, 1)))
posix.close(its)
posix.write(2, b"%d %d %d" % (pid, null, min(ours, its)))
sys.exit(posix.waitstatus_to_exitcode(posix.waitpid(pid, 0)[1]))
"""


def launched(home: QmailHome, *before: str, closed: str = "", **how: object) -> tuple[dict[str, list[str]], list[int]]:
    """What the recorder saw, and its process id, the descriptor of /dev/null and the first of a pipe; `before` are
    words of sh to run first.
    """
    file = home.path / "seen"
    program = [*PYTHON, "-c", START + LAUNCH, str(home.fakes / "record"), str(file), "7"]
    script = "; ".join([*before, f'exec "$@" {closed}'])
    done = subprocess.run(["sh", "-c", script, "sh", *program], capture_output=True, check=False, **how)  # type: ignore[call-overload]
    assert done.returncode == 7, done.stderr
    return recorded(file), [int(word) for word in done.stderr.split()]


def test_it_gets_three_descriptors_and_no_more(home: QmailHome) -> None:
    seen, _ = launched(home)
    assert sorted(seen["fd"]) == ["0", "1", "2"]
    assert seen["file0"] == ["/dev/null"]


def test_what_was_inherited_goes_no_further(home: QmailHome) -> None:
    inherited = [os.open("/dev/null", os.O_RDWR) for _ in range(3)]
    inherited += [os.dup2(inherited[0], number) for number in (101, 500)]
    try:
        seen, _ = launched(home, "exec 3</dev/null 5>/dev/null 9</dev/null", pass_fds=inherited)
    finally:
        for descriptor in inherited:
            os.close(descriptor)
    assert sorted(seen["fd"]) == ["0", "1", "2"]


@pytest.mark.parametrize("before", [(), ("exec 4</dev/null 7</dev/null",)])
def test_no_descriptor_of_ours_is_one_that_a_program_may_be_given(home: QmailHome, before: tuple[str, ...]) -> None:
    _, (_, null, pipe) = launched(home, *before)
    assert min(null, pipe) > 9


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-"])
def test_where_standard_descriptors_were_closed(home: QmailHome, closed: str) -> None:
    seen, _ = launched(home, closed=closed)
    assert sorted(seen["fd"]) == ["0", "1", "2"]


def test_where_there_is_no_log(home: QmailHome) -> None:
    file = home.path / "seen"
    program = [*PYTHON, "-c", START + LAUNCH, str(home.fakes / "record"), str(file), "7"]
    assert subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *program], check=False).returncode == 7
    assert sorted(recorded(file)["fd"]) == ["0", "1", "2"]


def test_signals_are_as_they_are_by_default(home: QmailHome) -> None:
    seen, _ = launched(home, "trap '' HUP INT QUIT USR1 PIPE")
    assert "ignored" not in seen
    assert "blocked" not in seen


def test_so_they_are_where_the_mask_was_inherited(home: QmailHome) -> None:
    old = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGALRM))
    try:
        seen, _ = launched(home)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    assert "blocked" not in seen


def test_it_leads_a_group_of_its_own(home: QmailHome) -> None:
    seen, (pid, _, _) = launched(home)
    assert seen["pid"] == seen["pgrp"] == [str(pid)]


def test_arguments_environment_and_directory(home: QmailHome) -> None:
    seen, _ = launched(home, cwd=home.path)
    assert seen["arg"] == [str(home.fakes / "record"), str(home.path / "seen"), "7"]
    assert seen["env"] == ["A=b"]
    assert seen["cwd"] == [str(home.path)]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda file: None, "No such file or directory"),
        (lambda file: file.write_text("no program"), "Permission denied"),
        (lambda file: file.mkdir(), "Permission denied"),
        (lambda file: (file.write_text("no program"), file.chmod(0o755)), "Exec format error"),
        (lambda file: (file.write_text("#!/nowhere/sh\n"), file.chmod(0o755)), "No such file or directory"),
    ],
)
def test_what_cannot_be_executed_is_an_oserror(tmp_path: Path, make: object, reason: str) -> None:
    file = tmp_path / "program"
    make(file)  # type: ignore[operator]
    done = subprocess.run([*PYTHON, "-c", START + LAUNCH, str(file)], capture_output=True, check=False)
    assert done.returncode == 1
    assert reason.encode() in done.stderr


def test_a_name_without_slash_is_not_looked_up_in_path(tmp_path: Path) -> None:
    done = subprocess.run([*PYTHON, "-c", START + LAUNCH, "true"], capture_output=True, check=False, cwd=tmp_path)
    assert b"FileNotFoundError" in done.stderr


def test_a_group_that_is_gone_is_no_fault() -> None:
    code = START + "from qmailfork.system import spawn; spawn.kill_group(2**22 - 1, 9)"
    assert subprocess.run([*PYTHON, "-c", code], check=False).returncode == 0
