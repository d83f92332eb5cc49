"""Signals, deaths and limits of the listener."""

import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack

import pytest

from tests.smtpclient import Client
from tests.sockets import socket_of
from tests.support import PATIENCE, QmailHome, qmailfork, recorded, wait_for
from tests.tlsclient import certificate
from tests.ucspi import listening
from tests.warm import ENVELOPE, NO_NAMES, children, descriptors, environment, from_address, said, send_message, warm

GREETING = [b"220 mail.joedomain.net ESMTP"]
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@LOOPS
def test_the_open_sessions_finish(number: int, loop: str, home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "2", "--loop", loop) as server, server.connect() as client:
        client.reply()
        server.process.send_signal(number)
        wait_for(lambda: refused(server.host, server.port), what="the socket to close")
        assert [client.command(line)[-1][:3] for line in (*ENVELOPE, "DATA")] == [b"250", b"250", b"250", b"354"]
        assert client.command("x\r\n.")[0].startswith(b"250 ")
        client.command("QUIT")
        assert server.process.wait(PATIENCE) == 0


def refused(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    try:
        Client.connect(host, port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_client_has_all_of_its_time(home: QmailHome) -> None:
    home.control(timeoutsmtpd="1\n")
    with warm(home, *NO_NAMES, "-c", "1", SMTPEXTFORK="/bin/sleep 0.5") as server:
        with server.connect() as client:
            assert client.rest().endswith(b"451 timeout (#4.4.2)\r\n")  # deadlines have just been looked at
        with server.connect() as client:
            assert said(client, *ENVELOPE) == b"250 ok"
            began = time.monotonic()
            assert client.reply() == [b"451 timeout (#4.4.2)"]
            assert time.monotonic() - began > 0.9


def test_after_the_grace_clients_are_sent_away(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--grace", "0.5") as server, server.connect() as client:
        client.reply()
        server.process.terminate()
        assert client.reply()[0][:1] == b"4"
        assert client.rest() == b""
        assert server.process.wait(PATIENCE) == 0


def test_after_kill_the_workers_finish_and_the_next_instance_binds(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "2") as server, server.connect() as client:
        client.reply()
        workers = children(server.process.pid)
        server.process.kill()
        with warm(home, *NO_NAMES, "--workers", "2", port=str(server.port)) as after, after.connect() as other:
            assert other.reply() == GREETING
            assert [client.command(line)[-1][:3] for line in (*ENVELOPE, "DATA")] == [b"250", b"250", b"250", b"354"]
            assert client.command("x\r\n.")[0].startswith(b"250 ")
            client.command("QUIT")
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), what="the old workers' end")


def test_hup_reads_the_controls_again(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "1") as server, server.connect() as early:
        early.reply()
        home.control(smtpgreeting="changed\n")
        server.process.send_signal(signal.SIGHUP)

        def greeting() -> bool:
            with server.connect() as client:
                return client.reply() == [b"220 changed ESMTP"]

        wait_for(greeting, what="the new greeting")
        home.control(smtpgreeting=None, me=None)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("keeping the old control files: ")
        assert greeting()
        assert early.command("NOOP") == [b"250 ok"]


@pytest.mark.parametrize("name", ["tlsclients", "tlsserverciphers"])
def test_hup_keeps_what_is_said_of_tls(name: str, home: QmailHome) -> None:
    certificate(home)
    with warm(home, *NO_NAMES, "--workers", "1") as server:
        with server.connect() as client:
            client.reply()  # so the worker has started
        (home.path / "control" / name).mkdir()
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("keeping the old control files: ")
        with server.connect() as client:
            assert client.reply() == GREETING


def test_an_alarm_that_is_not_the_grace_sends_nobody_away(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "1") as server, server.connect() as client:
        client.reply()
        server.process.send_signal(signal.SIGALRM)
        home.control(me=None)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("keeping the old control files: ")  # the alarm, which came before, has been dealt with
        assert client.command("NOOP") == [b"250 ok"]


def test_a_log_that_is_gone_stops_nothing(home: QmailHome) -> None:
    reading, writing = os.pipe()
    argv = qmailfork("listen", "-1", *NO_NAMES, "--workers", "1", "127.0.0.1", "0")
    with subprocess.Popen(argv, env=environment(home), stdout=subprocess.PIPE, stderr=writing) as process:
        try:
            os.close(writing)
            assert process.stdout
            port = int(process.stdout.readline())
            with Client.connect("127.0.0.1", port) as client:
                assert client.reply() == GREETING
            os.close(reading)
            (dead,) = children(process.pid)
            os.kill(dead, signal.SIGKILL)
            wait_for(lambda: process.poll() or children(process.pid) not in ([dead], []), what="the next worker")
            with Client.connect("127.0.0.1", port) as client:
                assert client.reply() == GREETING
        finally:
            process.terminate()


def serves(pid: int, port: int) -> bool:
    """Whether this worker has the session."""
    try:
        socket_of(pid, port, connected=True).close()
    except LookupError:
        return False
    return True


def test_q_keeps_silent_about_a_worker_that_dies(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "-q", "--workers", "1") as server:
        (dead,) = wait_for(lambda: children(server.process.pid), what="the worker")
        with server.connect() as client:
            assert client.reply() == GREETING
        os.kill(dead, signal.SIGKILL)
        with server.connect() as client:
            assert client.reply() == GREETING
        assert dead not in children(server.process.pid)
        assert server.log() == []


def test_a_worker_that_dies_is_replaced(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "2") as server, server.connect() as client:
        client.reply()
        (dead,) = [pid for pid in children(server.process.pid) if serves(pid, server.port)]
        os.kill(dead, signal.SIGKILL)
        server.wait_log(f"worker {dead} ended (killed by signal 9), starting another")
        assert not any("reporter" in line for line in server.log())
        wait_for(lambda: len(children(server.process.pid)) == 2, what="the other worker")
        with server.connect() as other:
            assert other.reply() == GREETING


def test_per_ip_is_exact_over_all_workers(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "3", "--per-ip", "5") as server:
        clients = [server.connect() for _ in range(20)]
        first = [client.reply()[0][:3] for client in clients]
        assert sorted(first) == [b"220"] * 5 + [b"421"] * 15
        with from_address(server, "127.0.0.2") as other:
            assert other.reply() == GREETING
        leaving = clients[first.index(b"220")]
        leaving.command("QUIT")
        leaving.rest()

        def let_in() -> bool:
            with server.connect() as client:
                return client.reply() == GREETING

        wait_for(let_in, what="the free place")
        for client in clients:
            client.close()


def test_octets_of_a_session(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--session-octets", "1000") as server, server.connect() as client:
        assert said(client, *ENVELOPE, "DATA") == b"354 go ahead"
        client.send(b"x" * 76 + b"\r\n")
        client.send((b"x" * 76 + b"\r\n") * 20)
        assert client.rest()[:3] in (b"", b"451")
        assert "sent more than 1000 octets" in server.wait_log("octets")
    assert home.messages() == []


@LOOPS
def test_twenty_wait_in_a_checker_at_once(loop: str, home: QmailHome) -> None:
    env = {"SMTPEXTFORK": "/usr/bin/sleep 1"}
    with warm(home, *NO_NAMES, "--workers", "1", "--loop", loop, **env) as server:
        clients = [server.connect() for _ in range(20)]
        for client in clients:
            assert said(client, *ENVELOPE[:2]) == b"250 ok"
        began = time.monotonic()
        for client in clients:
            client.send(ENVELOPE[2].encode() + b"\r\n")
        assert [client.reply() for client in clients] == [[b"250 ok"]] * 20
        assert time.monotonic() - began < 10  # one after the other they would take 20
        for client in clients:
            client.close()


def memory(pid: int) -> int:
    """KiB that a process has in memory."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


@LOOPS
def test_a_queue_that_does_not_read_slows_the_client(loop: str, home: QmailHome) -> None:
    home.queue("queue-hang")
    with warm(home, *NO_NAMES, "--workers", "1", "--loop", loop) as server, server.connect() as client:
        assert said(client, *ENVELOPE, "DATA") == b"354 go ahead"
        (worker,) = children(server.process.pid)
        before = memory(worker)
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.socket.sendall((b"x" * 76 + b"\r\n") * 1_000_000)
        assert memory(worker) - before < 4096
        with server.connect() as other:
            assert other.reply() == GREETING
        os.kill(int((home.stored / ".pid").read_text()), signal.SIGKILL)


@LOOPS
def test_a_client_that_does_not_read_costs_no_memory(loop: str, home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "1", "--loop", loop) as server, server.connect() as client:
        client.reply()
        (worker,) = children(server.process.pid)
        before = memory(worker)
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.socket.sendall(b"HELP\r\n" * 10_000_000)
        assert memory(worker) - before < 4096
        with server.connect() as other:
            assert send_message(other).startswith(b"250 ")


def test_the_kernel_keeps_little_for_a_client_that_does_not_read(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "1") as server, server.connect() as client:
        client.reply()
        (worker,) = children(server.process.pid)
        with socket_of(worker, server.port, connected=True) as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 65536  # Linux tells twice as much


def test_slow_and_endless_lines_hold_up_nobody(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", "1") as server:
        slow = [server.connect() for _ in range(30)]
        for round_ in range(5):
            for client in slow[:15]:
                client.send(b"N")
            for client in slow[15:]:
                client.send(b"x" * 100_000)
            with server.connect() as other:
                assert send_message(other).startswith(b"250 "), round_
        for client in slow:
            client.close()


def ends(client: Client, kind: int) -> None:
    """A session with one of the kinds of end."""
    steps = [(), ENVELOPE[:1], ENVELOPE[:2], ENVELOPE, (*ENVELOPE, "DATA"), (*ENVELOPE, "QUIT"), ("x",) * 3]
    said(client, *steps[kind % len(steps)])
    if kind % 3 == 0:
        client.reset()
    elif kind % 3 == 1:
        client.half_close()
        client.rest()
    client.close()


@LOOPS
def test_no_descriptor_is_lost(loop: str, home: QmailHome) -> None:
    env = {"SMTPEXTFORK": "fakes/exit 0,fakes/flood 1000,/nonexistent"}
    with warm(home, *NO_NAMES, "-v", "--workers", "1", "--loop", loop, **env) as server:
        with server.connect() as client:
            ends(client, 5)
        wait_for(lambda: any(": end " in line for line in server.log()), what="the first session's end")
        (worker,) = children(server.process.pid)
        before = descriptors(worker)
        for kind in range(500):
            with server.connect() as client:
                ends(client, kind)

        wait_for(lambda: kinds(descriptors(worker)) == kinds(before), what="the descriptors to be given back")
        assert not any("Traceback" in line for line in server.log())


def test_without_descriptors_a_session_goes_on(home: QmailHome) -> None:
    """What it comes to need is loaded; the certificate cannot be read."""
    certificate(home)
    argv = ["sh", "-c", 'ulimit -n 40; exec "$@"', "-", *qmailfork("listen", "-1", *NO_NAMES, "--workers", "1")]
    env = environment(home, SMTPAUTH="", QMAILFORK_AUTHINPLAIN="1", QMAILFORK_CHECKPASSWORD="fakes/checkpassword")
    with listening([*argv, "127.0.0.1", "0"], env, home.path / "log", "127.0.0.1") as server, ExitStack() as stack:
        client = stack.enter_context(server.connect())
        client.reply()
        for _ in range(39):
            stack.enter_context(server.connect())
        server.wait_log("unable to accept: Too many open files")
        assert client.command("EHLO foo")[-1].startswith(b"250 AUTH")
        assert client.command("STARTTLS")[0].startswith(b"454 ")
        assert client.command("AUTH PLAIN AGpvZQB4")[0].startswith(b"454 ")
        assert not any("Traceback" in line for line in server.log())


def kinds(names: list[str]) -> list[str]:
    return sorted(name.partition(":")[0] for name in names)


@LOOPS
def test_what_programs_are_given(loop: str, home: QmailHome) -> None:
    record = home.path / "record"
    with warm(home, *NO_NAMES, "--loop", loop, SMTPEXTFORK=f"fakes/record {record}") as server:
        with server.connect() as client, server.connect() as other:
            other.reply()
            assert said(client, *ENVELOPE) == b"250 ok"
        fields = recorded(record)
    assert sorted(fields["fd"]) == ["0", "1", "2"]
    assert "ignored" not in fields
    assert "blocked" not in fields
    assert fields["cwd"] == [str(home.path)]
    assert fields["pgrp"] == fields["pid"]
