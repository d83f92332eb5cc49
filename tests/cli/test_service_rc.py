"""`qmailfork service --supervisor rc`: the rc.d script for FreeBSD, run with a stand-in for its rc.subr.

The script itself is what FreeBSD would run, but for the path of /etc/rc.subr; the listener, envdir, envuidgid and
multilog are real.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_service import Place
from tests.supervisors import open_directory
from tests.support import FAKES, alive, qmailfork, wait_for

NAME = "qmailfork_smtpd"
RC = ("--supervisor", "rc", "--kind", "listener")
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
NAMED = pytest.param(("--user", "root", "--log-user", "root"), id="named", marks=AS_ROOT)


class Host(Place):
    """A host with rc.d in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.directory = path / "smtpd"
        self.conf = path / "rc.conf"
        self.pid_file = path / "pid"
        self.conf.write_text(f"{NAME}_enable=YES\n{NAME}_pidfile={self.pid_file}\n")

    def service(self, word: str) -> subprocess.CompletedProcess[str]:
        """What service(8) does."""
        text = (self.directory / NAME).read_text()
        script = self.path / NAME
        script.write_text(text.replace(". /etc/rc.subr", f". {FAKES / 'rc.subr'}"))
        environment = {"PATH": "/sbin:/bin:/usr/sbin:/usr/bin", "RC_CONF": str(self.conf)}  # as of service(8)
        argv = ["sh", str(script), word]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)

    def pid(self) -> int:
        return int(self.pid_file.read_text())


@pytest.fixture
def host() -> Iterator[Host]:
    with open_directory() as path:
        found = Host(path)
        try:
            yield found
        finally:
            if found.pid_file.exists() and found.pid_file.read_text():
                pid = found.pid()
                if alive(pid):
                    os.kill(pid, signal.SIGTERM)
                    wait_for(lambda: not alive(pid), what="the listener to end")


@pytest.mark.parametrize("users", [pytest.param((), id="ourselves"), NAMED])
def test_a_message_through_it(host: Host, users: tuple[str, ...]) -> None:
    host.write(*RC, *users)
    started = host.service("start")
    assert (started.returncode, started.stdout, started.stderr) == (0, f"Starting {NAME}.\n", ""), host.log("smtpd")
    host.hold_a_session()
    wait_for(lambda: "Reject::RCPT::Extfork_100" in host.log("smtpd"), what="the log")
    pid = host.pid()
    assert host.service("status").stdout == f"{NAME} is running as pid {pid}.\n"
    assert host.service("start").stderr == f"{NAME} already running? (pid={pid}).\n"
    (host.home / "control" / "rcpthosts").write_text("other.example\n")
    assert host.service("reload").returncode == 0
    wait_for(lambda: refuses(host, "joe@joedomain.net"), what="the new control files")
    stopped = host.service("stop")
    assert (stopped.returncode, alive(pid), host.pid_file.exists()) == (0, False, False)
    assert (host.service("status").returncode, host.service("status").stdout) == (1, f"{NAME} is not running.\n")


def refuses(host: Host, recipient: str) -> bool:
    with host.client() as client:
        client.reply()
        client.command("HELO foo")
        client.command("MAIL FROM:<john@foodomain.net>")
        return client.command(f"RCPT TO:<{recipient}>")[0].startswith(b"553")


def test_a_restart_knows_the_new_environment_and_flags(host: Host) -> None:
    host.write(*RC)
    host.service("start")
    host.hold_a_session()
    (host.directory / "env" / "554SMTPEXTFORK").write_text("sorry, not today\n")
    with host.conf.open("a") as conf:
        conf.write(f"{NAME}_flags='-B greetings'\n")
    assert host.service("restart").returncode == 0
    with host.client() as client:
        assert client.read_line().startswith(b"greetings")
        for line in ("EHLO foo", "MAIL FROM:<john@foodomain.net>"):
            client.command(line)
        assert client.command("RCPT TO:<spam@joedomain.net>") == [b"554 sorry, not today"]
    assert host.service("stop").returncode == 0


def test_only_what_is_enabled_starts(host: Host) -> None:
    host.write(*RC)
    host.conf.write_text(f"{NAME}_pidfile={host.pid_file}\n")
    assert f"Set {NAME}_enable to YES" in host.service("start").stdout
    assert not host.pid_file.exists()
    assert host.service("onestart").returncode == 0
    host.hold_a_session()
    assert host.service("onestop").returncode == 0


def test_what_is_missing_is_said(host: Host) -> None:
    host.write(*RC)
    (host.directory / "tcp.smtp.cdb").unlink()
    done = host.service("start")
    assert (done.returncode, f"{host.directory}/tcp.smtp.cdb is not readable" in done.stderr) == (1, True)


def test_a_listener_that_cannot_start(host: Host) -> None:
    host.write(*RC)
    script = host.directory / NAME
    script.write_text(script.read_text().replace("tries=200", "tries=20").replace(" listen ", " listen --nonsense "))
    done = host.service("start")
    assert (done.returncode, f"does not listen: see {host.logs}/smtpd/current" in done.stderr) == (1, True), done
    wait_for(lambda: "--nonsense" in host.log("smtpd"), what="the reason")


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_shell_reads_it(host: Host, shell: str) -> None:
    subprocess.run([shell, "-n", host.write(*RC, "--user", "root") / NAME], check=True)


def test_check_reads_it(host: Host) -> None:
    directory = host.write(*RC, "--user", "root")
    for target in (directory, directory / NAME):
        done = subprocess.run(qmailfork("check", str(target)), capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == ("nothing found\n", 0)
    (directory / "env" / "SMTPEXTFORK").write_text(f"{host.path}/absent\n")
    script = directory / NAME
    script.write_text(script.read_text().replace("runas=root", "runas=nobody-there"))
    done = subprocess.run(qmailfork("check", "--json", str(directory)), capture_output=True, text=True, check=False)
    found = {one["where"]: one["what"] for one in json.loads(done.stdout)}
    assert found[f"{directory}/env/SMTPEXTFORK"].startswith(f"{host.path}/absent is not there")
    assert found[str(script)] == "there is no user nobody-there"


def test_what_to_do_next(host: Host) -> None:
    told = json.loads(host.call("smtpd", *RC, "--json").stdout)
    assert told["next"][-4:] == [
        f"ln -s {host.directory}/{NAME} /usr/local/etc/rc.d/",
        f"sysrc {NAME}_enable=YES",
        f"service {NAME} start",
        f"service {NAME} status",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "stdio"), "choose --kind listener"),
        (("--kind", "listener", "--wrap", "/bin/a$b"), "'/bin/a$b' cannot stand in an rc.d script"),
    ],
)
def test_what_it_is_not_for(host: Host, words: tuple[str, ...], said: str) -> None:
    done = host.call("smtpd", "--supervisor", "rc", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
