"""`qmailfork listen --metrics`: what is counted, read as Prometheus reads it, after real sessions."""

import base64
import os
import resource
import select
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from qmailfork.cli.counted import Counted, Unread, read
from tests.drivers.test_listener_life import refused
from tests.smtpclient import Client
from tests.support import QmailHome, build_handoff, qmailfork, wait_for
from tests.ucspi import Server
from tests.warm import NO_NAMES, children, environment, warm

REFUSED = "jack@joedomain.net"
COUNTS = ("HELO foo", "MAIL FROM:<a@example.net>", "RCPT TO:<joe@joedomain.net>", f"RCPT TO:<{REFUSED}>",
          "RCPT TO:<x@elsewhere.example>", "DATA", "x\r\n.", "QUIT")  # fmt: skip
LIST = f"fakes/exit 7,fakes/match {REFUSED} 101"
Talk = Callable[[Server], AbstractContextManager[Client]]


def reading(home: QmailHome, *options: str, workers: str = "1", **env: str) -> AbstractContextManager[Server]:
    return warm(home, *NO_NAMES, "--workers", workers, "--metrics", address(home), *options, **env)


def address(home: QmailHome) -> str:
    return f"unix:{home.path}/metrics"


def hold(client: Client) -> None:
    """One session: two recipients accepted or deferred by checkers, one refused without, a message."""
    client.reply()
    for line in COUNTS:
        client.command(line)
    client.rest()


def counted(home: QmailHome, sessions: int) -> Counted:
    """What is told once so many sessions are over."""

    def told() -> Counted | None:
        try:
            found = read(address(home))
        except Unread:  # the reporter starts behind the first greeting
            return None
        return found if found.sessions == sessions and not found.open else None

    return wait_for(told)


def test_all_is_counted(home: QmailHome) -> None:
    with reading(home, "-c", "30", workers="2", SMTPEXTFORK=LIST) as server:
        for _ in range(4):
            with server.connect() as client:
                hold(client)
        found = counted(home, 4)
    assert (found.limit, found.recipients) == (30, {"accepted": 4, "refused": 4, "deferred": 4})
    assert found.replies == {"220": 4, "221": 4, "250": 16, "354": 4, "454": 4, "553": 4}
    assert {name: program.ends for name, program in found.checkers.items()} == {
        "fakes/exit": {"7": 8},
        "fakes/match": {"0": 4, "101": 4},
    }
    assert (found.queue.ends, found.queue.runs) == ({"0": 4}, 4)
    assert found.checkers["fakes/exit"].runs == 8
    assert found.checkers["fakes/exit"].sum > 0


def test_ends_without_a_code(home: QmailHome) -> None:
    home.queue("queue-exit")
    env = {"SMTPEXTFORK": "fakes/die,fakes/absent,fakes/hang,policy:unix:/absent", "SMTPEXTFORKTIMEOUT": "0.2"}
    with reading(home, **env, FAKE_QUEUE_EXIT="31") as server, server.connect() as client:
        hold(client)
        found = counted(home, 1)
    assert {name: program.ends for name, program in found.checkers.items()} == {
        "fakes/die": {"signal": 2},
        "fakes/absent": {"exec": 2},
        "fakes/hang": {"timeout": 2},
        "/absent": {"exec": 2},
    }
    assert sum(found.queue.ends.values()) == 1
    assert found.checkers["fakes/hang"].within(0.5) >= 0.2


def test_replies_that_are_sent_before_the_next_command_is_looked_at(home: QmailHome) -> None:
    with reading(home) as server, server.connect() as client:
        client.reply()
        for line in COUNTS[:-3]:
            client.command(line)
        client.command("DATA")
        client.send(b"x\r\n.\r\nRSET\r\nQUIT\r\n")
        client.rest()
        found = counted(home, 1)
    assert found.replies == {"220": 1, "221": 1, "250": 6, "354": 1, "553": 1}


def test_a_checkpassword_program_is_no_checker(home: QmailHome) -> None:
    plain = base64.b64encode(b"\0joe\0secret").decode()
    env = {"SMTPAUTH": "", "QMAILFORK_AUTHINPLAIN": "1", "QMAILFORK_CHECKPASSWORD": "fakes/checkpassword"}
    with reading(home, SMTPEXTFORKR=LIST, **env) as server, server.connect() as client:
        client.reply()
        assert client.command(f"AUTH PLAIN {plain}")[0].startswith(b"235 ")
        client.command("MAIL FROM:<a@example.net>")
        client.command("RCPT TO:<joe@joedomain.net>")
        client.command("QUIT")
        found = counted(home, 1)
    assert sorted(found.checkers) == ["fakes/exit", "fakes/match"]


def test_a_worker_that_dies_loses_no_count(home: QmailHome) -> None:
    with reading(home, SMTPEXTFORK=LIST) as server:
        with server.connect() as client:
            hold(client)
        before = counted(home, 1)
        worker = next(pid for pid in children(server.process.pid) if not tells(pid))
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: worker not in children(server.process.pid), what="the worker to be gone")
        with server.connect() as client:
            hold(client)
        after = counted(home, 2)
    assert after.recipients == {name: 2 * count for name, count in before.recipients.items()}
    assert after.checkers["fakes/exit"].ends == {"7": 4}


def tells(pid: int) -> bool:
    """Whether the process is the reporter: the one with threads."""
    return len(os.listdir(f"/proc/{pid}/task")) > 1


def test_a_reporter_that_dies_is_replaced(home: QmailHome) -> None:
    with reading(home, SMTPEXTFORK=LIST) as server:
        with server.connect() as client:
            hold(client)
        counted(home, 1)
        reporter = next(pid for pid in children(server.process.pid) if tells(pid))
        wait_for(lambda: age(reporter) > 1.1, what="the reporter to be of age")
        os.kill(reporter, signal.SIGKILL)
        wait_for(lambda: "starting another" in server.log_file.read_text())
        assert counted(home, 1).queue.ends == {"0": 1}


def test_a_reporter_without_descriptors_waits_for_one(home: QmailHome) -> None:
    with reading(home) as server:
        counted(home, 0)
        reporter = next(pid for pid in children(server.process.pid) if tells(pid))
        full = wait_for(lambda: not_open(reporter))
        soft, hard = resource.prlimit(reporter, resource.RLIMIT_NOFILE)
        resource.prlimit(reporter, resource.RLIMIT_NOFILE, (full, hard))
        with socket.socket(socket.AF_UNIX) as reader:
            reader.connect(f"{home.path}/metrics")
            before = busy(reporter)
            assert select.select([reader], [], [], 1) == ([], [], [])
            assert busy(reporter) - before < 0.3
            resource.prlimit(reporter, resource.RLIMIT_NOFILE, (soft, hard))
            reader.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert reader.makefile("rb").readline().endswith(b" 200 OK\r\n")


def not_open(pid: int) -> int:
    """The first descriptor that the process has not open."""
    there = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    return next(number for number in range(len(there) + 1) if number not in there)


def busy(pid: int) -> float:
    """Seconds of a processor that the process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def age(pid: int) -> float:
    """Seconds since the process was started."""
    told = subprocess.run(["ps", "-o", "etimes=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return float(told.stdout)


def test_more_checkers_than_places_are_counted_together(home: QmailHome) -> None:
    names = [f"absent{number}" for number in range(70)]
    with reading(home, SMTPEXTFORK=",".join([*names, "a" * 300])) as server, server.connect() as client:
        hold(client)
        found = counted(home, 1)
    assert len(found.checkers) == 63
    assert found.checkers["others"].ends == {"exec": 18}
    assert found.checkers["absent61"].ends == {"exec": 2}
    assert found.queue.ends == {"0": 1}


def test_sessions_that_are_handed_over_count_too(home: QmailHome, tmp_path: Path) -> None:
    door, program = f"{tmp_path}/door", build_handoff(tmp_path)
    with reading(home, "--handoff", door, SMTPEXTFORK=LIST):
        said = "".join(f"{line}\r\n" for line in COUNTS).encode()
        env = {**home.environment(), "SMTPEXTFORK": LIST}
        subprocess.run([program, door], input=said, env=env, capture_output=True, check=True)
        assert counted(home, 1).recipients == {"accepted": 1, "refused": 1, "deferred": 1}


def free_port() -> int:
    """A port of TCP that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def test_workers_that_outlive_the_listener_leave_the_address(home: QmailHome) -> None:
    metrics = ("--metrics", f"127.0.0.1:{free_port()}")
    with warm(home, *NO_NAMES, *metrics) as server, server.connect() as client:
        client.reply()
        server.process.kill()
        with warm(home, *NO_NAMES, *metrics, port=str(server.port)) as after, after.connect() as other:
            assert other.reply()[0][:3] == b"220"
            assert client.command("NOOP") == [b"250 ok"]


def test_while_the_last_sessions_finish_nobody_else_is_let_in(home: QmailHome) -> None:
    with reading(home) as server:
        counted(home, 0)
        with server.connect() as client:
            client.reply()
            server.process.terminate()
            wait_for(lambda: refused(server.host, server.port), what="the socket to close")
            assert client.command("QUIT")[0][:3] == b"221"


def test_at_an_address(home: QmailHome) -> None:
    port = free_port()
    with warm(home, *NO_NAMES, "--metrics", f"127.0.0.1:{port}") as server:
        url = f"http://127.0.0.1:{port}/metrics"
        fetch = ["curl", "-s", "--retry", "9", "--retry-connrefused", url]
        told = subprocess.run(fetch, capture_output=True, text=True, check=True).stdout
        assert server.process.poll() is None
    assert "# TYPE qmailfork_replies_total counter" in told


def test_after_the_end_nobody_tells(home: QmailHome) -> None:
    with reading(home) as server:
        counted(home, 0)
        pids = children(server.process.pid)
        server.process.kill()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), what="all to end")


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("nowhere", "nowhere: neither unix:PATH nor HOST:PORT"),
        ("127.0.0.1:99999", "127.0.0.1 99999: no such port"),
        ("unix:/absent/metrics", "/absent/metrics: No such file or directory"),
    ],
)
def test_an_address_that_cannot_be_had(home: QmailHome, where: str, why: str) -> None:
    argv = qmailfork("listen", *NO_NAMES, "--metrics", where, "127.0.0.1", "0")
    done = subprocess.run(argv, env=environment(home), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (111, f"qmailfork: fatal: {why}\n")
