"""How the listener starts, and how it does not: one line, and the exit code says whether it may be better later."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.smtpclient import Client
from tests.support import PATIENCE, QmailHome, alive, qmailfork, wait_for
from tests.system.privilege import held_back
from tests.ucspi import listening, tcprules
from tests.warm import ENVELOPE, NO_NAMES, children, environment, from_address, said, send_message, warm

HERE = ("127.0.0.1", "0")
GREETING = [b"220 mail.joedomain.net ESMTP"]


def ended(home: QmailHome, *words: str, **env: str) -> tuple[int, list[str]]:
    """The exit code and the lines of a listener that does not start."""
    done = subprocess.run(
        held_back(qmailfork("listen", *words)), env=environment(home, **env), capture_output=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.stdout == b""
    return done.returncode, done.stderr.decode().splitlines()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "HOST and PORT are missing"),
        (("127.0.0.1",), "PORT is missing"),
        (("--nonsense", *HERE), "--nonsense"),
        (("-c", "x", *HERE), "'-c'"),
        (("-c", "0", *HERE), "'-c'"),
        (("-b", "-1", *HERE), "'-b'"),
        (("-t", "0", *HERE), "'-t'"),
        (("-u", "joe", *HERE), "'-u'"),
        (("-u", "4294967295", *HERE), "'-u'"),
        (("-g", "99999999999", *HERE), "'-g'"),
        (("--workers", "0", *HERE), "'--workers'"),
        (("--per-ip", "x", *HERE), "'--per-ip'"),
        (("--grace", "-1", *HERE), "'--grace'"),
        (("--loop", "other", *HERE), "'--loop'"),
        (("-x",), "-x"),
        (("-x", "", *HERE), "-x is empty"),
        (("--handoff", ""), "--handoff is empty"),
        (("--metrics", "", *HERE), "--metrics is empty"),
        (("--pid-file", "", *HERE), "--pid-file is empty"),
    ],
)
def test_a_command_line_that_makes_no_sense(words: tuple[str, ...], part: str, home: QmailHome) -> None:
    status, lines = ended(home, *words)
    assert (status, len(lines)) == (100, 1)
    assert lines[0].startswith("qmailfork: usage: ")
    assert part in lines[0]


def test_so_it_is_with_tcpserver() -> None:
    assert subprocess.run(["tcpserver", "--nonsense"], capture_output=True, check=False).returncode == 100


@pytest.mark.parametrize(
    ("words", "env", "part"),
    [
        (("192.0.2.77", "0"), {}, "unable to bind 192.0.2.77 port 0: "),
        (("no.such.host.invalid", "25"), {}, "no.such.host.invalid 25: "),
        (("127.0.0.1", "nosuchport"), {}, "127.0.0.1 nosuchport: "),
        (("127.0.0.1", "65536"), {}, "127.0.0.1 65536: "),
        (("-U", *HERE), {}, "-U: "),
        (("-U", *HERE), {"UID": "x", "GID": "1"}, "-U: "),
        (("-U", *HERE), {"UID": "1", "GID": "-1"}, "-U: "),
        (("--handoff", "/nonexistent/socket"), {}, "/nonexistent/socket: "),
        (("--handoff", "/tmp/" + "x" * 200), {}, "/tmp/x"),
        (("--pid-file", "/nonexistent/pid", *HERE), {}, "/nonexistent/pid: "),
        (("--daemon", "--pid-file", "/nonexistent/pid", *HERE), {}, "/nonexistent/pid: "),
        (("-x", "/nonexistent/rules.cdb", *HERE), {}, "/nonexistent/rules.cdb: "),
        (HERE, {"QMAILHOME": "/nonexistent"}, "/nonexistent/control"),
    ],
)
def test_what_cannot_be_had(words: tuple[str, ...], env: dict[str, str], part: str, home: QmailHome) -> None:
    status, lines = ended(home, "-H", "-R", "-l", "mx", *words, **env)
    assert (status, len(lines)) == (111, 1)
    assert lines[0].startswith("qmailfork: fatal: ")
    assert part in lines[0]


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("words", [("-u", "1"), ("-g", "1")])
def test_a_user_that_we_may_not_become(words: tuple[str, str], home: QmailHome) -> None:
    argv = ["setpriv", "--reuid", "65534", "--clear-groups", *qmailfork("listen", *words, *HERE)]
    done = subprocess.run(argv, env=environment(home), capture_output=True, timeout=PATIENCE, check=False)
    said = f"qmailfork: fatal: {' '.join(words)}: Operation not permitted\n"
    assert (done.returncode, done.stderr.decode()) == (111, said)


def test_an_address_that_is_taken(home: QmailHome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        theirs = subprocess.run(["tcpserver", "127.0.0.1", port, "true"], capture_output=True, check=False)
        assert theirs.returncode == 111
        status, lines = ended(home, "127.0.0.1", port)
    assert (status, len(lines)) == (111, 1)
    assert f"unable to bind 127.0.0.1 port {port}: " in lines[0]


@pytest.mark.parametrize("name", ["me", "rcpthosts", "badmailfrom", "databytes", "timeoutsmtpd"])
def test_controls_that_cannot_be_read(name: str, home: QmailHome) -> None:
    home.control(**{name: "x\n"})
    (home.path / "control" / name).chmod(0)
    status, lines = ended(home, "--workers", "3", *HERE)
    assert (status, len(lines)) == (111, 1)
    assert f"/control/{name}: " in lines[0]


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * 3000])
def test_rules_that_are_none(content: bytes, home: QmailHome) -> None:
    rules = home.path / "rules.cdb"
    rules.write_bytes(content)
    status, lines = ended(home, "--workers", "3", "-x", str(rules), *HERE)
    assert (status, len(lines)) == (111, 1)
    assert f"{rules}: " in lines[0]


@pytest.mark.parametrize("spoil", ["remove", "garbage", "forbid"])
def test_rules_that_go_bad_later(spoil: str, home: QmailHome) -> None:
    others = "".join(f"192.0.2.{number}:allow\n" for number in range(200))  # more than a page
    rules = tcprules(home.path, others + ':allow,SMTPEXTFORK="fakes/exit 101"\n')
    argv = held_back(qmailfork("listen", "-1", *NO_NAMES, "--workers", "1", "-x", str(rules), *HERE))
    with listening(argv, environment(home), home.path / "log", "127.0.0.1") as server:
        for step, address in (("good", "127.0.0.1"), ("bad", "127.0.0.1"), ("bad", "127.0.0.2")):
            with from_address(server, address) as client:
                assert said(client, *ENVELOPE).startswith(b"454 ")
            if step == "good" and spoil == "remove":
                rules.unlink()
            elif step == "good":
                rules.write_bytes(b"x" * 50)
                rules.chmod(0 if spoil == "forbid" else 0o644)
        lines = [line for line in server.log() if "rules" in line]
        assert len(lines) == 1
        assert lines[0].startswith(f"tcpserver: warning: keeping the old rules: {rules}: ")
        tcprules(home.path, ":deny\n")
        with server.connect() as client:
            assert client.rest() == b""


@pytest.mark.parametrize("workers", [1, 3])
def test_workers(workers: int, home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--workers", str(workers)) as server:
        wait_for(lambda: len(children(server.process.pid)) == workers, what="the workers")


def test_pid_file(home: QmailHome) -> None:
    with warm(home, *NO_NAMES, "--pid-file", str(home.path / "pid")) as server, server.connect() as client:
        client.reply()
        assert (home.path / "pid").read_text() == f"{server.process.pid}\n"


def test_daemon(home: QmailHome) -> None:
    pid_file, log = home.path / "pid", home.path / "log"
    words = (*NO_NAMES, "--per-ip", "9", "--daemon", "--pid-file", str(pid_file), "-1", *HERE)
    with log.open("wb") as errors:
        done = subprocess.run(
            qmailfork("listen", *words), env=environment(home), stdout=subprocess.PIPE, stderr=errors, check=True,
            timeout=PATIENCE,
        )  # fmt: skip
    pid = int(wait_for(lambda: pid_file.exists() and pid_file.read_text(), what="the process id"))
    try:
        with Client.connect("127.0.0.1", int(done.stdout)) as client:
            assert send_message(client).startswith(b"250 ")
        assert os.getsid(pid) != os.getsid(0)
        wait_for(lambda: b"Accept::RCPT" in log.read_bytes(), what="the log")
    finally:
        os.kill(pid, 15)
    wait_for(lambda: not alive(pid), what="its end")


HAND_OVER = """
import os, sys
for number, descriptor in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(descriptor, number)
os.environ.update(LISTEN_FDS=sys.argv[2], LISTEN_PID=sys.argv[3] or str(os.getpid()))
os.execv(sys.argv[4], sys.argv[4:])
"""


def handed_over(sockets: list[socket.socket], count: str, pid: str, words: list[str]) -> list[str]:
    numbers = []
    for sock in sockets:
        os.set_inheritable(sock.fileno(), True)
        numbers.append(str(sock.fileno()))
    return [sys.executable, "-c", HAND_OVER, ",".join(numbers), count, pid, *words]


def test_sockets_of_the_service_manager(home: QmailHome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        for sock in (one, two):
            os.dup2(sock.fileno(), sock.fileno() + 20)
        sockets = [socket.socket(fileno=sock.fileno() + 20) for sock in (one, two)]
        argv = handed_over(sockets, "2", "", qmailfork("listen", *NO_NAMES, "192.0.2.1", "1"))
        with subprocess.Popen(argv, env=environment(home), close_fds=False) as process:
            try:
                for sock in (one, two):
                    with Client.connect("127.0.0.1", sock.getsockname()[1]) as client:
                        assert send_message(client).startswith(b"250 ")
            finally:
                process.terminate()
        for sock in sockets:
            sock.close()
    assert len(home.messages()) == 2


@pytest.mark.parametrize(("count", "part"), [("x", "LISTEN_FDS=x: "), ("9", "LISTEN_FDS=9: ")])
def test_sockets_that_are_none(count: str, part: str, home: QmailHome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        argv = handed_over([one], count, "", qmailfork("listen", *NO_NAMES, *HERE))
        done = subprocess.run(argv, env=environment(home), close_fds=False, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 111
    assert part in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_sockets_for_somebody_else(home: QmailHome) -> None:
    env = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    with warm(home, *NO_NAMES, **env) as server, server.connect() as client:
        assert client.reply() == GREETING


def test_a_worker_that_cannot_start_stops_the_parent(home: QmailHome) -> None:
    """The parent has read everything; then a file goes bad, and a worker has to be replaced."""
    with warm(home, *NO_NAMES, "--workers", "1") as server, server.connect() as client:
        client.reply()  # so the worker has started
        client.command("QUIT")
        home.control(me=None)
        os.kill(children(server.process.pid)[0], 9)
        assert server.process.wait(PATIENCE) == 111
        lines = [line for line in server.log() if "fatal" in line]
    assert len(lines) == 1
    assert "neither me nor smtpgreeting" in lines[0]


def test_no_output_no_input(home: QmailHome) -> None:
    """Closed standard descriptors do no harm."""
    quoted = qmailfork("listen", "-1", *NO_NAMES, *HERE)
    place = Path(home.path / "port")
    argv = ["sh", "-c", 'exec 0<&- 1>"$0" "$@"', str(place), *quoted]
    with subprocess.Popen(argv, env=environment(home)) as process:
        try:
            port = wait_for(lambda: place.exists() and place.read_text().strip(), what="the port")
            with Client.connect("127.0.0.1", int(port)) as client:
                assert send_message(client).startswith(b"250 ")
        finally:
            process.terminate()
