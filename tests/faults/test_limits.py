"""Descriptors and processes run out: every reply is SMTP, what was acknowledged is queued, and others are served."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.processes import children
from tests.smtpclient import Client
from tests.support import QmailHome, qmailfork, run_session, running, smtpd, wait_for
from tests.ucspi import Server, listening
from tests.warm import ENVELOPE, NO_NAMES, send_message

STRANGER = 54321  # a user id that nobody has: its processes are this test's alone
SESSION = (
    b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"
    b"NOOP\r\nQUIT\r\n"
)
GREETING = [b"220 mail.joedomain.net ESMTP"]


def limited(option: str, argv: Sequence[str]) -> list[str]:
    """`argv` with a limit of its own, as an option of prlimit(1)."""
    return ["prlimit", option, "--", *argv]


def as_stranger(argv: Sequence[str]) -> list[str]:
    """`argv` as a user whose processes are limited, as root's are not; it may read and write everything."""
    if os.geteuid() != 0:
        return list(argv)
    user = [f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    return ["setpriv", *user, "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--", *argv]


def codes(output: bytes) -> list[bytes]:
    """The code of each line that was said, which is all SMTP."""
    lines = output.split(b"\r\n")
    assert lines.pop() == b""
    assert all(line[:3].isdigit() and line[3:4] in (b" ", b"-") for line in lines), output
    return [line[:3] for line in lines if line[3:4] == b" "]


@pytest.fixture(scope="module")
def bundled(fakes: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first session after a change of the sources has written the bundle of its modules (quickstart.py)."""
    home = QmailHome(tmp_path_factory.mktemp("first") / "qmail", fakes)
    assert run_session(smtpd(), home.environment(), SESSION).status == 0


@pytest.mark.usefixtures("bundled")
@pytest.mark.parametrize("most", range(3, 34))
def test_few_descriptors(most: int, home: QmailHome) -> None:
    env = home.environment(SMTPEXTFORK=f"fakes/exit 0,policy:unix:{home.path}/nobody", SMTPEXTFORKFAIL="pass")
    session = run_session(limited(f"--nofile={most}", smtpd()), env, SESSION)
    assert not any("Traceback" in line for line in session.log), session.log
    said = codes(session.output)
    assert said or session.status != 0
    acknowledged = said[4:5] == [b"354"] and said[5] == b"250"
    assert len(home.messages()) == acknowledged, session
    assert home.drafts() == []
    assert most < 25 or acknowledged, session


def test_no_process_for_a_cold_session(home: QmailHome) -> None:
    env = home.environment(SMTPEXTFORK="fakes/exit 100", SMTPEXTFORKFAIL="defer")
    session = run_session(as_stranger(limited("--nproc=0", smtpd())), env, SESSION)
    assert codes(session.output) == [
        b"220",
        b"250",
        b"250",
        b"451",
        b"503",
        b"502",
        b"502",
        b"502",
        b"502",
        b"250",
        b"221",
    ]
    assert "Extfork_Exec" in "".join(session.log)
    env = home.environment()
    session = run_session(as_stranger(limited("--nproc=0", smtpd())), env, SESSION)
    assert codes(session.output)[4] == b"451", session
    assert home.messages() == []


@contextmanager
def warm(home: QmailHome, limit: str, *options: str, **env: str) -> Iterator[Server]:
    argv = qmailfork("listen", "-1", *NO_NAMES, "--workers", "1", *options, "127.0.0.1", "0")
    variables = {**{n: v for n, v in home.environment().items() if not n.startswith("TCP")}, **env}
    argv = limited(limit, argv)
    with listening(
        as_stranger(argv) if "nproc" in limit else argv, variables, home.path / "listener.log", "127.0.0.1"
    ) as server:
        yield server


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_listener_without_descriptors(loop: str, home: QmailHome) -> None:
    env = {"SMTPEXTFORK": "fakes/exit 0", "SMTPEXTFORKFAIL": "defer"}
    with warm(home, "--nofile=40", "-c", "100", "--loop", loop, **env) as server, ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(60)]
        server.wait_log("unable to accept: Too many open files")
        early = clients[0]
        assert early.reply() == GREETING
        assert [early.command(line)[-1][:3] for line in ENVELOPE] == [b"250", b"250", b"451"]
        for client in clients[1:]:
            client.close()
        with server.connect() as other:
            assert send_message(other).startswith(b"250 ")
        assert early.command("RCPT TO:<joe@joedomain.net>") == [b"250 ok"]
        assert not any("Traceback" in line for line in server.log())


@pytest.mark.parametrize("most", range(14, 34, 3))
def test_a_listener_that_can_hardly_start(most: int, home: QmailHome) -> None:
    """It serves, or it ends with one clear line."""
    argv = qmailfork("listen", "-1", *NO_NAMES, "--workers", "1", "127.0.0.1", "0")
    variables = {n: v for n, v in home.environment().items() if not n.startswith("TCP")}
    how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": variables}
    with running(limited(f"--nofile={most}", argv), **how) as process:
        assert process.stdout
        assert process.stderr
        port = process.stdout.readline()
        if port and serves(int(port)):
            process.terminate()
            assert process.wait() == 0
            return
        assert process.wait() == 111
        told = process.stderr.read().decode()
        assert told.count("\n") == 1, told
        assert "open files" in told


def serves(port: int) -> bool:
    try:
        with Client.connect("127.0.0.1", port) as client:
            return client.reply() == GREETING
    except (ConnectionRefusedError, ConnectionResetError):  # it has ended, or ends before it accepts
        return False


def allow(pid: int, processes: int) -> None:
    """Let this process, and so whom it starts, have no more than so many for its user."""
    subprocess.run(as_stranger(["prlimit", f"--pid={pid}", f"--nproc={processes}:"]), check=True)


def test_a_listener_without_processes(home: QmailHome) -> None:
    env = {"SMTPEXTFORK": "fakes/exit 0", "SMTPEXTFORKFAIL": "defer"}
    with warm(home, "--nproc=1000", **env) as server, server.connect() as client:
        assert client.reply() == GREETING
        (worker,) = children(server.process.pid)
        allow(worker, 1)
        assert [client.command(line)[-1][:3] for line in ENVELOPE] == [b"250", b"250", b"451"]
        allow(worker, 1000)
        assert client.command(ENVELOPE[2]) == [b"250 ok"]
        allow(worker, 1)
        assert client.command("DATA")[0][:3] == b"451"
        allow(server.process.pid, 1)
        os.kill(worker, signal.SIGKILL)
        server.wait_log("unable to start a worker: ")
        assert server.process.poll() is None
        allow(server.process.pid, 1000)
        with server.connect() as other:
            assert send_message(other).startswith(b"250 ")
        assert not any("Traceback" in line for line in server.log())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_gate_for_hand_offs_without_descriptors(loop: str, home: QmailHome) -> None:
    """It pauses, instead of trying all the time, and takes sessions again."""
    path = home.path / "socket"
    with warm(home, "--nofile=40", "--loop", loop, "--handoff", str(path)) as server, ExitStack() as stack:
        for _ in range(60):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.connect(str(path))
        server.wait_log("unable to accept: Too many open files")
        (worker,) = children(server.process.pid)
        before, began = cpu_seconds(worker), time.monotonic()
        wait_for(lambda: sum("unable to accept" in line for line in server.log()) > 2, what="it to try again")
        assert cpu_seconds(worker) - before < (time.monotonic() - began) / 2
        stack.close()
        with server.connect() as other:
            assert send_message(other).startswith(b"250 ")


@pytest.mark.parametrize("spare", range(1, 14))
def test_a_preloaded_checker_without_descriptors(spare: int, home: QmailHome) -> None:
    """Whatever is missing, the recipient is refused for now, and the worker goes on."""
    env = {"SMTPEXTFORK": "preload:fakes/sample-checker", "SMTPEXTFORKFAIL": "defer"}
    with warm(home, "--nofile=200", **env) as server, server.connect() as client:
        assert client.reply() == GREETING
        assert [client.command(line)[-1][:3] for line in ENVELOPE] == [b"250"] * 3
        (worker,) = [pid for pid, name in children(server.process.pid).items() if name != "sample-checker"]
        highest = max(int(number) for number in os.listdir(f"/proc/{worker}/fd"))
        subprocess.run(["prlimit", f"--pid={worker}", f"--nofile={highest + spare}:"], check=True)
        assert client.command(ENVELOPE[2])[0][:3] in (b"250", b"451")
        subprocess.run(["prlimit", f"--pid={worker}", "--nofile=200:"], check=True)
        assert client.command(ENVELOPE[2]) == [b"250 ok"]
        assert not any("warning: session" in line for line in server.log())


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
