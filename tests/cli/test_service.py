"""`qmailfork service`: what it writes serves mail under the supervisors it is written for."""

import base64
import json
import os
import pty
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmailfork.cli import counted
from tests.smtpclient import Client
from tests.supervised import free_port
from tests.supervisors import COMMANDS, open_directory, supervision
from tests.support import ROOT, build_handoff, qmailfork, wait_for

BINARIES = Path(sys.executable).parent
USER = ""
MESSAGE = "Subject: hello\r\n\r\nhello joe\r\n."


class Place:
    """A qmail home, a checker, and room for services and their logs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home = path / "qmail"
        self.logs = path / "log"
        self.maildir = path / "Maildir"
        self.port = free_port()
        self.search = f"{BINARIES}:{path / 'bin'}:{os.environ['PATH']}"
        for directory in (self.home / "control", *(self.maildir / name for name in ("tmp", "new", "cur"))):
            directory.mkdir(parents=True)
        for directory in self.maildir.rglob("*"):
            directory.chmod(0o777)
        (self.home / "control" / "me").write_text("mail.joedomain.net\n")
        (self.home / "control" / "rcpthosts").write_text("joedomain.net\n")
        checker = path / "checker"
        checker.write_text("#!/bin/sh\ncase $REMOTERCPT in spam@*) exit 100 ;; esac\n")
        checker.chmod(0o755)

    def write(self, *words: str, name: str = "smtpd", status: int = 0) -> Path:
        """Write a service named `name`; its directory."""
        done = self.call(name, *words)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return self.path / name

    def call(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        usual = ["--home", self.home, "--address", "127.0.0.1", "--port", self.port, "--user", USER, "--log-user", USER,
                 "--log-directory", self.logs / name, "--maildir", self.maildir, "--relay", "192.0.2.1",
                 "--checkers", self.path / "checker", "--yes"]  # fmt: skip
        argv = qmailfork("service", str(self.path / name), *map(str, usual), *words)
        environment = os.environ | {"PATH": self.search}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    def delivered(self) -> list[str]:
        return [file.read_text() for file in (self.maildir / "new").iterdir()]

    def client(self) -> Client:
        """A client, as soon as somebody listens."""

        def connected() -> Client | None:
            try:
                return Client.connect("127.0.0.1", self.port)
            except ConnectionRefusedError:
                return None

        return wait_for(connected, what=f"a server: {self.log('smtpd')}")  # type: ignore[return-value]

    def log(self, name: str) -> str:
        file = self.logs / name / "current"
        return file.read_text(errors="replace") if file.exists() else "no log"

    def hold_a_session(self, refusal: str = "554 sorry, local policy does not let this message in") -> None:
        """One recipient refused, one accepted, and the message delivered."""
        with self.client() as client:
            assert client.reply() == [b"220 mail.joedomain.net ESMTP"], self.log("smtpd")
            for line, code in (
                ("EHLO foo", b"250"),
                ("MAIL FROM:<john@foodomain.net>", b"250"),
                ("RCPT TO:<spam@joedomain.net>", refusal.encode()),
                ("RCPT TO:<x@elsewhere.example>", b"553"),
                ("RCPT TO:<joe@joedomain.net>", b"250"),
                ("DATA", b"354"),
                (MESSAGE, b"250"),
                ("QUIT", b"221"),
            ):
                assert client.command(line)[-1].startswith(code), (line, self.log("smtpd"))
        assert [text for text in self.delivered() if text.endswith("\nhello joe\n")]


@pytest.fixture
def place() -> Iterator[Place]:
    with open_directory() as path:
        yield Place(path)


@pytest.mark.parametrize("kind", ["stdio", "listener"])
@pytest.mark.parametrize("supervisor", COMMANDS)
def test_a_message_through_each(place: Place, supervisor: str, kind: str) -> None:
    directory = place.write("--supervisor", supervisor, "--kind", kind)
    with supervision(supervisor, place.path / "service", directory, path=place.search) as services:
        place.hold_a_session()
        wait_for(lambda: "Reject::RCPT::Extfork_100" in place.log("smtpd"), what="the log")
        assert place.log("smtpd").startswith("@4")
        (directory / "env" / "554SMTPEXTFORK").write_text("sorry, not today\n")
        services.restart("smtpd")
        place.hold_a_session("554 sorry, not today")


def test_a_hand_off(place: Place) -> None:
    (place.path / "bin").mkdir()
    build_handoff(place.path)
    directory, warm = place.write("--supervisor", "daemontools", "--kind", "handoff"), place.path / "smtpd-warm"
    with supervision("daemontools", place.path / "service", warm, directory, path=place.search):
        wait_for((warm / "socket" / "smtpd").exists, what="the listener")
        place.hold_a_session()
        mine = [line for line in place.log("smtpd").splitlines() if "Extfork_100" in line]
        assert mine


@pytest.mark.parametrize("kind", ["listener", "handoff"])
def test_what_is_counted_is_told(place: Place, kind: str) -> None:
    (place.path / "bin").mkdir()
    build_handoff(place.path)
    address = f"unix:{place.path}/metrics"
    directory = place.write("--supervisor", "daemontools", "--kind", kind, "--metrics", address)
    services = [place.path / "smtpd-warm", directory] if kind == "handoff" else [directory]
    with supervision("daemontools", place.path / "service", *services, path=place.search):
        if kind == "handoff":
            wait_for((services[0] / "socket" / "smtpd").exists, what="the listener")
        place.hold_a_session()
        told = wait_for(lambda: recipients(address))
    assert told == {"accepted": 1, "refused": 2, "deferred": 0}


def recipients(address: str) -> dict[str, int]:
    try:
        return counted.read(address).recipients
    except counted.Unread:
        return {}


def refuses_spam_alone(client: Client, heard: Path) -> None:
    """The checker of the service refuses spam, of which the wrapped smtpd (fakes/smtpd) has `heard` nothing."""
    client.command("EHLO foo")
    client.command("MAIL FROM:<john@foodomain.net>")
    assert client.command("RCPT TO:<spam@joedomain.net>")[0].startswith(b"554")
    assert client.command("RCPT TO:<joe@joedomain.net>")[0] == b"250 child rcpt"
    assert b"spam" not in heard.read_bytes()


def test_in_front_of_another_smtpd(place: Place, fakes: Path) -> None:
    heard = place.path / "heard"
    heard.touch()
    heard.chmod(0o666)
    words = f"{sys.executable} {ROOT / 'tests' / 'fakes' / 'smtpd'} {heard}"
    directory = place.write("--supervisor", "runit", "--kind", "listener", "--wrap", words)
    with supervision("runit", place.path / "service", directory, path=place.search), place.client() as client:
        assert client.reply()[0] == b"220 child", place.log("smtpd")
        refuses_spam_alone(client, heard)


def test_s6_hears_when_it_is_ready(place: Place) -> None:
    directory = place.write("--supervisor", "s6", "--kind", "listener")
    with supervision("s6", place.path / "service", directory, path=place.search) as services:
        wait_for(lambda: "ready" in services.state("smtpd"), what="readiness")
        place.client().close()


def test_a_wrong_command_line_is_not_tried_for_ever(place: Place) -> None:
    directory = place.write("--supervisor", "s6", "--kind", "listener")
    run = directory / "run"
    run.write_text(run.read_text().replace("listen -1", "listen --nonsense"))
    with supervision("s6", place.path / "service", directory, path=place.search) as services:
        wait_for(lambda: "down" in services.state("smtpd") and "exitcode 100" in services.state("smtpd"), what="an end")


def test_a_maildir_that_is_still_to_be_made(place: Place) -> None:
    """The commands that it tells make it; check misses it before."""
    later = place.path / "later on"
    told = json.loads(place.call("smtpd", "--kind", "stdio", "--maildir", str(later), "--json").stdout)
    words = qmailfork("check", "--json", str(place.path / "smtpd"))
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=False).stdout)
    assert [one["what"] for one in found] == [f"{later}/tmp is not there, or not for this user"]
    assert found[0]["where"] == f"{place.path}/smtpd/env/QMAILFORK_MAILDIR"
    for command in told["next"][:-3]:
        subprocess.run(["sh", "-c", command], check=True)
    assert subprocess.run(words, capture_output=True, text=True, check=False).stdout == "[]\n"


def test_nothing_is_overwritten(place: Place) -> None:
    directory = place.write("--supervisor", "runit")
    rules = directory / "tcp.smtp"
    rules.write_text(":deny\n")
    again = place.call("smtpd", "--supervisor", "runit")
    assert again.returncode == 2
    assert again.stderr == f"Error: {rules}: there already, and different; --overwrite replaces them\n"
    assert rules.read_text() == ":deny\n"
    place.write("--supervisor", "runit", "--overwrite")
    assert ":deny" not in rules.read_text()[-20:]
    assert place.call("smtpd", "--supervisor", "runit").stdout.startswith("0 files written")


def test_in_json(place: Place) -> None:
    told = json.loads(place.call("smtpd", "--supervisor", "daemontools", "--json").stdout)
    assert told["directory"] == str(place.path / "smtpd")
    assert str(place.path / "smtpd" / "run") in told["files"]
    assert told["missing"] == {}
    assert any("qmailfork check" in command for command in told["next"])


def test_what_is_missing_is_said(place: Place) -> None:
    argv = qmailfork("service", str(place.path / "x"), "--yes", "--supervisor", "s6", "--user", "no-such-user")
    done = subprocess.run(argv, env={"PATH": "/nonexistent"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "missing: user no-such-user\n    useradd" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "tcp"], "Invalid value for '--kind'"),
        (["--sessions", "0"], "Invalid value for '--sessions'"),
        (["--set", "x"], "--set: 'x' is not NAME=VALUE"),
        (["--set", "../x=1"], "--set: '../x=1' is not NAME=VALUE"),
        (["--kind", "handoff", "--wrap", "/bin/x"], "--wrap: no hand-off"),
        (["--kind", "listener", "--metrics", "9100"], "--metrics: 9100: neither unix:PATH nor HOST:PORT"),
        (["--kind", "stdio", "--metrics", "127.0.0.1:9100"], "--metrics: only a listener counts"),
        (["--port", "99999"], "--address, --port: 127.0.0.1 99999: no such port"),
        (["--port", "smpt"], "--address, --port: 127.0.0.1 smpt: "),
        (["--address", "300.1.1.1"], "--address, --port: 300.1.1.1 "),
        (["--checkers", "/a\n/b"], "--checkers: control characters"),
        (["--relay", "10.\n:deny"], "--relay: control characters"),
        (["--home", "qmail"], "--home: qmail: not an absolute path"),
    ],
)
def test_wrong_options(place: Place, words: list[str], said: str) -> None:
    done = place.call("smtpd", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (place.path / "smtpd").exists()


def test_a_place_that_is_none(place: Place) -> None:
    done = place.call("qmail/control/me")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "Not a directory" in done.stderr


def answered(argv: list[str], answers: str, columns: int) -> str:
    """What a terminal of so many columns shows of a command that gets these answers."""
    environment = {"PATH": f"{BINARIES}:{os.environ['PATH']}", "COLUMNS": str(columns), "TERM": "dumb"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, environment)
    os.write(terminal, answers.encode())
    shown = b""
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        shown += block
    os.waitpid(pid, 0)
    os.close(terminal)
    return shown.decode()


def test_a_few_answers_on_a_terminal_of_60_columns(place: Place) -> None:
    directory = place.path / "asked"
    argv = qmailfork("service", str(directory), "--log-user", "", "--log-directory", str(place.logs))
    answers = f"s6\nlistener\n2525\n{place.home}\nroot\n/bin/true\n127.0.0.1:9100\n"
    shown = answered(argv, answers, 60)
    run = (directory / "run").read_text()
    assert "\nport=2525\n" in run
    assert "s6-envdir" in run
    assert "\nmetrics=127.0.0.1:9100 " in run
    assert "Which supervisor" in shown
    told = shown.partition("files written")[2]
    assert max(len(line) for line in told.splitlines() if not line.startswith("    ")) <= 60
    (directory / "run").write_text("mine\n")
    assert "differs: replace it?" in answered(argv, f"{answers}n\n", 60)
    assert (directory / "run").read_text() == "mine\n"


def test_submission_wants_auth(place: Place) -> None:
    """The commands that it tells are run as they are; then joe logs in, and nobody sends without that."""
    told = json.loads(place.call("smtpd", "--supervisor", "daemontools", "--submission", "--json").stdout)
    env = place.path / "smtpd" / "env"
    assert [(env / name).read_text().partition("\n")[0] for name in ("FORCETLS", "SMTPAUTH")] == ["1", "!"]
    adds = next(command for command in told["next"] if "--add" in command)
    environment = os.environ | {"PATH": place.search}
    subprocess.run(["sh", "-c", adds], env=environment, input=b"secret\n", check=True, capture_output=True)
    certified(place.home / "control")
    with supervision("daemontools", place.path / "service", place.path / "smtpd", path=place.search):
        place.client().close()
        for password, code in (("wrong", 535), ("secret", 235)):
            with smtplib.SMTP("127.0.0.1", place.port, timeout=30) as client:
                client.starttls()
                client.ehlo()
                assert client.mail("joe@joedomain.net")[0] == 530, place.log("smtpd")
                assert login(client, password) == code, place.log("smtpd")
        assert not [command for command in again(place) if "--add" in command or "servercert" in command]


def test_checkpassword_file_is_found_where_pip_has_put_it(place: Place) -> None:
    (place.path / "linked").mkdir()
    for program in ("qmailfork", "qmailfork-smtpd"):
        (place.path / "linked" / program).symlink_to(ROOT / "bin" / program)
    argv = [sys.executable, str(place.path / "linked" / "qmailfork"), "service", "--yes", "--submission"]
    environment = {"PATH": f"{place.path}/linked:/usr/bin:/bin"}
    subprocess.run([*argv, str(place.path / "x")], env=environment, check=False, capture_output=True)
    program = (place.path / "x" / "env" / "QMAILFORK_CHECKPASSWORD").read_text().split()[0]
    assert os.access(program, os.X_OK)
    assert program == f"{BINARIES}/checkpassword-file"


def certified(control: Path) -> None:
    """A certificate of its own, where the server looks for it."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=mail.joedomain.net"]  # fmt: skip
    argv += ["-keyout", str(control / "serverkey.pem"), "-out", str(control / "servercert.pem")]
    subprocess.run(argv, check=True, capture_output=True)


def login(client: smtplib.SMTP, password: str) -> int:
    return client.docmd("AUTH PLAIN", base64.b64encode(f"\0joe\0{password}".encode()).decode())[0]


def again(place: Place) -> list[str]:
    """What is still to be done."""
    told = place.call("smtpd", "--supervisor", "daemontools", "--submission", "--json").stdout
    return list(json.loads(told)["next"])
