"""`qmailfork service --supervisor systemd`: units that systemd itself verifies, and their command lines at work.

systemd is not process 1 where tests run: the socket is handed over by systemd-socket-activate, and what else a unit
asks for and a test can have is done by tests/units.py.
"""

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmailfork.cli.services import sandbox
from qmailfork.cli.services.plan import Plan
from tests.cli.test_service import Place, refuses_spam_alone
from tests.supervisors import open_directory
from tests.support import FAKES, build_handoff, qmailfork, wait_for
from tests.units import Unit

SYSTEMD = ("--supervisor", "systemd", "--kind")
KINDS = ("stdio", "listener", "handoff")
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def place() -> Iterator[Place]:
    with open_directory() as path:
        build_handoff(path)
        yield Place(path)


def unit(place: Place, name: str = "smtpd") -> Unit:
    return Unit(place.path / name / f"{name}.service", place.path / "run")


def log(place: Place) -> Path:
    place.logs.joinpath("smtpd").mkdir(parents=True, exist_ok=True)
    return place.logs / "smtpd" / "current"


@pytest.mark.parametrize("user", ["", pytest.param("root", marks=AS_ROOT)])
def test_a_message_through_tcpserver(place: Place, user: str) -> None:
    place.write(*SYSTEMD, "stdio", "--user", user)
    with unit(place).started(log(place)):
        place.hold_a_session()
        wait_for(lambda: "Reject::RCPT::Extfork_100" in place.log("smtpd"), what="the log")


def test_a_message_through_the_listener(place: Place) -> None:
    place.write(*SYSTEMD, "listener")
    service = unit(place)
    told = [f"-E{name}={value}" for name, value in service.environment.items()]
    binds = shutil.which("systemd-socket-activate")
    assert binds, "Debian's package systemd brings it"
    with service.started(log(place), binds, "-l", f"127.0.0.1:{place.port}", *told):
        place.hold_a_session()


def test_a_message_by_hand_off(place: Place) -> None:
    place.write(*SYSTEMD, "handoff", "--metrics", "unix:/run/counted/metrics")
    run = place.path / "run"
    with unit(place, "smtpd-warm").started(log(place)), unit(place).started(log(place)):
        wait_for((run / "smtpd-warm" / "smtpd").exists, what="the listener")
        place.hold_a_session()
        wait_for((run / "counted" / "metrics").exists, what="the counts")
        assert "Reject::RCPT::Extfork_100" in place.log("smtpd")


@pytest.mark.parametrize("kind", ["stdio", "listener"])
def test_in_front_of_another_smtpd(place: Place, kind: str) -> None:
    heard = place.path / "heard at 5%"
    wrapped = place.path / "wrapped"
    wrapped.write_text(f"#!/bin/sh\nexec python3 {FAKES}/smtpd '{heard}' \"$@\"\n")
    wrapped.chmod(0o755)
    place.write(*SYSTEMD, kind, "--wrap", f"{wrapped} GREETING=220_$HOME_5%")
    with unit(place).started(log(place)), place.client() as client:
        assert client.reply()[0] == b"220 $HOME 5%", place.log("smtpd")
        refuses_spam_alone(client, heard)


def test_a_path_that_systemd_would_take_apart(place: Place) -> None:
    odd = place.path / 'a "$HOME" 5%'
    odd.mkdir()
    place.write(*SYSTEMD, "stdio", name=f"{odd.name}/smtpd")
    found = Unit(odd / "smtpd" / "smtpd.service", place.path / "run")
    with found.started(log(place)):
        place.hold_a_session()


@AS_ROOT
def test_a_setuid_queue(place: Place) -> None:
    """Under the capabilities that the unit leaves, qmail-queue becomes who it is for."""
    queue, stored = place.path / "qmail-queue", place.path / "stored"
    subprocess.run(["cc", "-O1", "-o", queue, FAKES / "queue.c"], check=True)
    stored.mkdir()
    for each in (queue, stored):
        shutil.chown(each, "nobody")
    queue.chmod(0o4711)
    place.write(*SYSTEMD, "stdio", "--set", f"QMAILQUEUE={queue}", "--set", f"FAKE_QUEUE_DIR={stored}")
    service = unit(place)
    with service.started(log(place), *service.bounds), place.client() as client:
        for line in ("EHLO foo", "MAIL FROM:<john@foodomain.net>", "RCPT TO:<joe@joedomain.net>", "DATA", "x\r\n."):
            client.command(line)
        assert client.command("QUIT")[0].startswith(b"250"), place.log("smtpd")  # the queue's, the greeting went first
    (message,) = stored.glob("*/message")
    assert message.stat().st_uid == pwd.getpwnam("nobody").pw_uid


@pytest.mark.parametrize(("user", "address"), [("", "127.0.0.1"), pytest.param("root", "::1", marks=AS_ROOT)])
@pytest.mark.parametrize("kind", KINDS)
def test_systemd_verifies_it(place: Place, kind: str, user: str, address: str) -> None:
    assert shutil.which("systemd-analyze"), "Debian's package systemd brings it"
    place.write(*SYSTEMD, kind, "--address", address, "--user", user)
    units = [str(path) for path in place.path.glob("smtpd*/*.*") if path.suffix in (".service", ".socket")]
    assert len(units) == (1 if kind == "stdio" else 2)
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert "smtpd" not in done.stderr, done.stderr


def checked(directory: Path) -> list[tuple[str, str]]:
    done = subprocess.run(qmailfork("check", "--json", str(directory)), capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return [(one["where"], one["what"]) for one in json.loads(done.stdout)]


@pytest.mark.parametrize("kind", KINDS)
def test_check_reads_it(place: Place, kind: str) -> None:
    more = ["--metrics", "unix:/run/smtpd-counts/metrics"] if kind == "listener" else []
    directory = place.write(*SYSTEMD, kind, *more)
    assert checked(directory) == []
    (directory / "env" / "SMTPEXTFORK").write_text(f"{place.path}/absent\n")
    file = directory / "smtpd.service"
    file.write_text(file.read_text().replace("LimitAS=", "LimitAS=3M\n#").replace("/run/smtpd-counts", "/run/none"))
    found = dict(checked(directory))
    assert found[f"{directory}/env/SMTPEXTFORK"].startswith(f"{place.path}/absent is not there")
    said = [what for where, what in checked(directory) if where == str(file)]
    assert "LimitAS= 3145728 is little for Python" in said
    assert ("--metrics: the directory /run/none is not there" in said) == (kind == "listener")


@AS_ROOT
def test_check_knows_what_keeps_qmail_queue_from_its_queue(place: Place) -> None:
    queue = place.path / "qmail-queue"
    shutil.copy("/bin/true", queue)
    queue.chmod(0o4711)
    directory = place.write(*SYSTEMD, "listener", "--set", f"QMAILQUEUE={queue}", "--user", "root")
    file = directory / "smtpd.service"
    written = file.read_text()
    assert checked(directory) == []
    for line, is_wrong in (("NoNewPrivileges=yes", True), ("SystemCallFilter=@system-service", True),
                           ("PrivateDevices=no", False), ("# NoNewPrivileges=yes", False)):  # fmt: skip
        file.write_text(written.replace("[Install]", f"{line}\n[Install]"))
        said = [what for _, what in checked(directory) if "keeps" in what]
        assert said == ([f"{line.split('=')[0]}= keeps {queue} from becoming another user, which is setuid for that"]
                        if is_wrong else [])  # fmt: skip
    file.write_text(written.replace("[Install]", "SystemCallFilter=@system-service\n[Install]").replace("User=", "#"))
    assert checked(directory) == []  # root's service needs no such flag for its filter


def test_a_unit_with_a_quote_that_never_ends(place: Place) -> None:
    directory = place.write(*SYSTEMD, "stdio")
    file = directory / "smtpd.service"
    file.write_text(file.read_text().replace("ExecStart=", 'ExecStart="'))
    assert (str(file), "it runs no server") in checked(directory)


def test_what_is_written_to_stays_writable() -> None:
    usual = Plan("/etc/services/smtpd", "systemd", "listener", "/usr/bin/python3", ())
    variables = {"QMAILFORK_MAILDIR": "/home/joe/Maildir"}
    other = Plan("/x", "systemd", "listener", "p", (), home="/usr/local/qmail", metrics="unix:/run/user/1/m",
                 variables=variables)  # fmt: skip
    assert sandbox.writable(usual) == []
    assert sandbox.writable(other) == ["/usr/local/qmail", "/home/joe/Maildir", "/run/user/1"]
    assert ("PrivateTmp", "yes") in sandbox.settings(usual)
    shared = Plan("/x", "systemd", "listener", "p", (), checkers="policy:unix:/tmp/postgrey")
    assert ("PrivateTmp", "yes") not in sandbox.settings(shared)


def test_what_to_do_next(place: Place) -> None:
    told = json.loads(place.call("smtpd", *SYSTEMD, "handoff", "--json").stdout)
    service, warm = place.path / "smtpd" / "smtpd.service", place.path / "smtpd-warm" / "smtpd-warm.service"
    assert told["next"][-3:-1] == [
        f"systemctl enable {warm} {service}",
        "systemctl start smtpd-warm.service smtpd.service",
    ]


def test_what_cannot_stand_in_units(place: Place) -> None:
    done = place.call("mx@home", "--supervisor", "systemd")
    assert (done.returncode, "'mx@home' cannot be the name of a unit" in done.stderr) == (2, True)
    done = place.call("smtpd", *SYSTEMD, "listener", "--port", "smtp")
    assert (done.returncode, "--port smtp: systemd binds numbers" in done.stderr) == (2, True)
