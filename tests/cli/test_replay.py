"""`qmailfork replay`: logs of real sessions through other lists of real checkers."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support import QmailHome, alive, qmailfork, run_session, smtpd, wait_for

JOE, JACK = "joe@joedomain.net", "jack@joedomain.net"
SESSION = (
    b"EHLO foo\r\nMAIL FROM:<john@foodomain.net>\r\nRCPT TO:<joe@joedomain.net>\r\nRCPT TO:<jack@joedomain.net>\r\n"
    b"RCPT TO:<x@elsewhere.example>\r\nQUIT\r\n"
)


def call(home: QmailHome, *words: str, **how: Any) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        qmailfork("replay", *words), env=environment, cwd=home.path, capture_output=True, text=True, check=False, **how
    )


def logged(home: QmailHome, path: Path, style: str = "json", **variables: str) -> Path:
    """The log of one session, at `path`."""
    environment = home.environment(QMAILFORK_LOG=style, **variables)
    with path.open("ab") as log:
        log.writelines(line.encode() + b"\n" for line in run_session(smtpd(), environment, SESSION).log)
    return path


def listed(path: Path, *lines: str) -> str:
    path.write_text("".join(line + "\n" for line in lines))
    return str(path)


@pytest.mark.parametrize("style", ["json", "spamcontrol"])
def test_what_another_list_would_change(home: QmailHome, tmp_path: Path, style: str) -> None:
    log = logged(home, tmp_path / "log", style, SMTPEXTFORK=f"fakes/match {JACK} 100")
    new = listed(tmp_path / "new", "# tomorrow", "", f"SMTPEXTFORK=fakes/match {JOE} 101,shadow:fakes/exit 100")
    done = call(home, str(log), "--env", new, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (said["recipients"], said["same"], said["own_rules"]) == (2, 0, 1)
    assert (said["let_in"], said["refused"], said["deferred"]) == (1, 0, 1)
    assert said["domains"] == [{"name": "joedomain.net", "let_in": 1, "refused": 0, "deferred": 1}]
    assert {line["name"]: (line["let_in"], line["deferred"]) for line in said["checkers"]} == {
        f"fakes/match {JACK} 100".split()[0]: (1, 1)
    }
    (joe,), (jack,) = said["samples"]["deferred"], said["samples"]["let_in"]
    assert (joe["recipient"], joe["was"], joe["sender"]) == (JOE, "accepted", "john@foodomain.net")
    assert joe["reply"].startswith("454 ")
    assert (jack["recipient"], jack["was"]) == (JACK, "refused")
    assert said["shadowed"] == [{"name": "fakes/exit", "times": 1}]


def test_nothing_changes_under_the_same_list(home: QmailHome, tmp_path: Path) -> None:
    log = logged(home, tmp_path / "log", SMTPEXTFORK=f"fakes/match {JACK} 100")
    (tmp_path / "env").mkdir()
    (tmp_path / "env/SMTPEXTFORK").write_text(f"fakes/match {JACK} 100\n")
    done = call(home, str(log), "--env", str(tmp_path / "env"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "2 recipients replayed, 2 as before."


def test_relay_clients_get_their_own_list(home: QmailHome, tmp_path: Path) -> None:
    log = logged(home, tmp_path / "log", RELAYCLIENT="", SMTPEXTFORKR="")
    new = listed(tmp_path / "new", "SMTPEXTFORK=fakes/exit 101", "SMTPEXTFORKR=fakes/exit 100")
    said = json.loads(call(home, str(log), "--env", new, "--json").stdout)
    assert (said["recipients"], said["refused"]) == (3, 3)


def test_it_goes_on_after_a_kill(home: QmailHome, tmp_path: Path) -> None:
    """The checker hangs at the second session until it is told to end; one recipient is a batch of its own."""
    log, state = tmp_path / "log", tmp_path / "state"
    for _ in range(10):
        logged(home, log, SMTPEXTFORK="")
    checker = tmp_path / "checker"
    checker.write_text(
        f"#!/bin/sh\necho $PPID >>{tmp_path}/ran\n[ -e {tmp_path}/go ] || [ ! -e {state} ] || sleep 60\nexit 100\n"
    )
    checker.chmod(0o755)
    words = (
        str(log),
        "--env",
        listed(tmp_path / "new", f"SMTPEXTFORK={checker}"),
        "--state",
        str(state),
        "--jobs",
        "1",
    )
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path)}
    with subprocess.Popen(qmailfork("replay", *words), env=environment) as killed:
        wait_for(lambda: state.exists() and len((tmp_path / "ran").read_text().split()) == 9, what="the second batch")
        killed.send_signal(signal.SIGKILL)
    worker = int((tmp_path / "ran").read_text().split()[-1])
    wait_for(lambda: not alive(worker), what="the end of the pool")
    assert json.loads(state.read_text())["done"] == 8
    (tmp_path / "go").touch()
    done = call(home, *words, "--json")
    assert json.loads(done.stdout)["refused"] == 20, done.stderr
    assert len((tmp_path / "ran").read_text().split()) == 9 + 12
    assert json.loads(call(home, *words, "--json").stdout)["refused"] == 20
    log.write_bytes(b"")
    done = call(home, *words)
    assert (done.returncode, done.stderr.count("\n")) == (111, 1)
    assert "the log is not the one" in done.stderr


MANY = [f"joe{number}@joedomain.net" for number in range(40)]


class Held:
    """A replay of MANY: its checkers write down whom they were asked about, and wait from the tenth on to be let go."""

    def __init__(self, home: QmailHome, path: Path) -> None:
        self.home, self.ran, self.go, self.state = home, path / "ran", path / "go", path / "state"
        self.waiting = path / "waiting"
        said = ["EHLO foo", "MAIL FROM:<john@foodomain.net>", *(f"RCPT TO:<{each}>" for each in MANY), "QUIT", ""]
        environment = home.environment(QMAILFORK_LOG="json", SMTPEXTFORK="")
        log = run_session(smtpd(), environment, "\r\n".join(said).encode()).log
        (path / "log").write_text("".join(f"{line}\n" for line in log))
        checker = path / "checker"
        checker.write_text(
            f"#!/bin/sh\necho $REMOTERCPT >>{self.ran}\n"
            f"[ $(wc -l <{self.ran}) -ge 10 ] || exit 100\n"
            f"echo $$ >>{self.waiting}\nwhile [ ! -e {self.go} ]; do sleep 0.02; done\nexit 100\n"
        )
        checker.chmod(0o755)
        new = listed(path / "new", f"SMTPEXTFORK={checker}")
        self.words = (str(path / "log"), "--env", new, "--state", str(self.state), "--jobs", "2")

    def asked(self) -> list[str]:
        return self.ran.read_text().split() if self.ran.exists() else []

    def begun(self) -> "subprocess.Popen[str]":
        """Under way, and two checkers in the midst of theirs."""
        environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(self.home.path)}
        process = subprocess.Popen(qmailfork("replay", *self.words), env=environment, stderr=subprocess.PIPE, text=True)
        self.wait()
        return process

    def wait(self) -> None:
        """Until both checkers wait."""
        wait_for(lambda: self.waiting.exists() and len(self.waiting.read_text().split()) == 2, what="the checkers")


def interrupted(process: "subprocess.Popen[str]") -> IO[str]:
    """Ctrl-C: its standard error, behind the words that it waits for its checkers."""
    process.send_signal(signal.SIGINT)
    errors = process.stderr
    assert errors
    wait_for(lambda: "waiting for the checkers" in errors.readline(), what="the words")
    return errors


def test_it_goes_on_after_ctrl_c(home: QmailHome, tmp_path: Path) -> None:
    """The checkers that run come to their ends, and nobody is asked about twice."""
    held = Held(home, tmp_path)
    with held.begun() as process:
        errors = interrupted(process)
        held.go.touch()
        told = errors.read()
    done = len(held.asked())
    assert (process.returncode, told) == (130, f"qmailfork replay: broken off after {done} recipients\n")
    assert 10 <= done < len(MANY)
    assert json.loads(held.state.read_text())["done"] == done
    said = json.loads(call(home, *held.words, "--json").stdout)
    assert (said["recipients"], said["refused"]) == (40, 40)
    assert sorted(held.asked()) == sorted(MANY)


def test_ctrl_c_twice(home: QmailHome, tmp_path: Path) -> None:
    """It ends although checkers hang, and remembers the batches that were whole: none yet."""
    held = Held(home, tmp_path)
    with held.begun() as process:
        errors = interrupted(process)
        process.send_signal(signal.SIGINT)
        assert errors.read() == "qmailfork replay: broken off after 0 recipients\n"
    assert process.returncode == 130
    held.go.touch()
    said = json.loads(call(home, *held.words, "--json").stdout)
    assert (said["recipients"], said["refused"]) == (40, 40)


class Terminal:
    """A pseudo-terminal of 60 columns, and a command on it."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, environment)
        termios.tcsetwinsize(self.descriptor, (24, 60))
        self.shown = ""

    def read(self) -> bool:
        """Whether there was more to read."""
        try:
            block = os.read(self.descriptor, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += block.decode()
        return bool(block)

    def until(self, text: str) -> None:
        while text not in self.shown:
            assert self.read(), self.shown

    def end(self) -> int:
        """The exit status, and all that was still shown."""
        while self.read():
            pass
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def bars(self) -> list[str]:
        """Each bar that was drawn."""
        return re.findall(r"replaying  \[[^\r\n]*", self.shown)


def test_the_bar_and_ctrl_c_on_a_terminal(home: QmailHome, tmp_path: Path) -> None:
    held = Held(home, tmp_path)
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    argv = qmailfork("replay", *held.words)
    first = Terminal(argv, environment)
    first.until("  0%")
    held.wait()
    os.write(first.descriptor, b"\x03")
    first.until("waiting for the checkers")
    held.go.touch()
    assert first.end() == 130
    done = len(held.asked())
    assert f"broken off after {done} recipients" in first.shown
    again = Terminal(argv, environment)
    assert again.end() == 1
    assert "40 recipients replayed, 0 as before." in again.shown
    bars = again.bars()
    assert f"{100 * done // 40}%" in bars[0]
    assert "100%" in bars[-1]
    assert max(len(re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", bar)) for bar in bars) <= 60
    assert sorted(held.asked()) == sorted(MANY)


def test_half_lines_and_rubbish_are_passed_over(home: QmailHome, tmp_path: Path) -> None:
    log = logged(home, tmp_path / "log", SMTPEXTFORK="")
    log.write_bytes(bytes(range(256)) + b"\n" + log.read_bytes() + b'{"pid": 1, "event": "Acc')
    done = call(home, str(log), "--env", listed(tmp_path / "new", "SMTPEXTFORK="))
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "2 recipients replayed, 2 as before.")


def test_sixty_columns_without_a_terminal(home: QmailHome, tmp_path: Path) -> None:
    log = logged(home, tmp_path / "log", SMTPEXTFORK="")
    new = listed(tmp_path / "new", "SMTPEXTFORK=shadow:fakes/exit 100,fakes/absent,fakes/exit 100")
    done = call(home, str(log), "--env", new)
    assert (done.returncode, done.stderr, "\x1b" in done.stdout) == (1, "", False)
    assert "Failed, 2 times: fakes/absent" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if ": 554" not in line) <= 60


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("absent", "--env", "new"), 111, "absent: No such file"),
        (("log", "--env", "absent"), 111, "absent: No such file"),
        (("log", "--env", "bad"), 111, "line 1: not NAME=value"),
        (("log", "--env", "other"), 2, "sets neither SMTPEXTFORK nor SMTPEXTFORKR"),
        (("log", "--env", "new", "--state", "bad"), 111, "bad: no state of qmailfork replay"),
        (("log", "--env", "new", "--state", "absent/state"), 111, "No such file"),
        (("log", "--env", "new", "--state", "/dev/full"), 111, "/dev/full: no regular file"),
        (("log", "--env", "new", "--jobs", "0"), 2, "--jobs"),
        (("log",), 2, "--env"),
    ],
)
def test_one_sentence_and_no_traceback(
    home: QmailHome, tmp_path: Path, words: tuple[str, ...], status: int, sentence: str
) -> None:
    logged(home, home.path / "log", SMTPEXTFORK="")
    for name, line in (("new", "SMTPEXTFORK="), ("bad", "nonsense"), ("other", "A=b")):
        listed(home.path / name, line)
    done = call(home, *words)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
    assert sentence in done.stderr


@pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="mounts a disk that is full")
def test_a_state_that_cannot_be_written_whole(home: QmailHome) -> None:
    logged(home, home.path / "log", SMTPEXTFORK="")
    (home.path / "full").mkdir()
    argv = qmailfork("replay", "log", "--env", listed(home.path / "new", "SMTPEXTFORK="), "--state", "full/state")
    script = 'mount -t tmpfs -o size=4k none full; head -c 4096 /dev/zero >full/taken; "$@"; echo $?; ls full'
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.path)}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *argv],
        env=environment, cwd=home.path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == f"qmailfork replay: {home.path}/full/state: No space left on device\n"
    assert done.stdout.split() == ["111", "taken"]
