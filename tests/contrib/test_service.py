"""contrib/service, adapted, under real supervise, tcpserver, envdir and multilog."""

import os
import re
import shutil
import smtplib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.contrib import services

TOP = Path(__file__).resolve().parents[2]
PATH = f"{TOP / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
CHECKER = """#!/bin/sh
case $REMOTERCPT in
  spam@*) exit 100 ;;
  later@*) exit 101 ;;
esac
"""


def poll(answer):
    """Return what answer() gives once that is true."""
    deadline = time.monotonic() + 60
    while not (result := answer()):
        assert time.monotonic() < deadline, "it never came"
        os.sched_yield()
    return result


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def set_values(script, **values):
    """Change values at the head of a script, as its user would."""
    for name, value in values.items():
        run("sed", "-i.bak", "-e", f"s|^{name}=[^ ]*|{name}={value}|", script)
        assert f"\n{name}={value}" in script.read_text()


class Service:
    """A copy of contrib/service with a qmail home, a Maildir and a checker beside it."""

    def __init__(self, place, kind="service"):
        self.directory = place / "smtpd"
        self.log = place / "log"
        self.maildir = place / "Maildir"
        self.home = place / "qmail"
        shutil.copytree(TOP / "contrib" / kind, self.directory)
        for directory in (
            self.log,
            self.home / "control",
            *(self.maildir / name for name in ("tmp", "new", "cur")),
        ):
            directory.mkdir(parents=True)
        (self.home / "control" / "me").write_text("mail.joedomain.net\n")
        (self.home / "control" / "rcpthosts").write_text("joedomain.net\n")
        (place / "checker").write_text(CHECKER)
        (place / "checker").chmod(0o755)
        self._adapt(place / "checker")

    def _adapt(self, checker):
        # -1 makes tcpserver print the port that it was given, into the log; -H keeps the test off DNS
        set_values(self.directory / "run", QMAILHOME=self.home, address="127.0.0.1", port=0, user="", PATH=PATH)
        run("sed", "-i.bak", "-e", 's|^lookups="[^"]*"|lookups="-H -R -1"|', self.directory / "run")
        set_values(self.directory / "log" / "run", user="", directory=self.log)
        run("sed", "-i.bak", "-e", "s|^127.|#&|", self.directory / "tcp.smtp")
        self.put("SMTPEXTFORK", checker)
        self.put("QMAILQUEUE", TOP / "bin" / "qmailfork-queue")
        self.put("QMAILFORK_MAILDIR", self.maildir)
        run("make", cwd=self.directory)

    def put(self, variable, value):
        (self.directory / "env" / variable).write_text(f"{value}\n")

    def start(self, path=PATH):
        """Start what svscan(8) starts: supervise for the service and for its log, a pipe between them."""
        read, write = os.pipe()
        environment = os.environ | {"PATH": path}
        self.supervisors = [
            subprocess.Popen(["supervise", self.directory], stdout=write, env=environment),
            subprocess.Popen(["supervise", self.directory / "log"], stdin=read, env=environment),
        ]
        os.close(read)
        os.close(write)
        poll(lambda: "up" in self.status())

    def stop(self):
        run("svc", "-dx", self.directory)
        run("svc", "-x", self.directory / "log")  # multilog ends with its input
        for supervisor in self.supervisors:
            supervisor.wait()

    def status(self):
        return run("svstat", self.directory)

    def pid(self):
        found = re.search(r"up \(pid (\d+)\)", self.status())
        return found and found[1]

    def lines(self):
        """Return the log's whole lines, without their time stamps."""
        current = self.log / "current"
        text = current.read_text() if current.exists() else ""
        return [line.partition(" ")[2] for line in text.split("\n")[:-1]]

    def await_port(self, starts):
        """Return the port of the service once it has been started so many times."""
        return int(poll(lambda: [line for line in self.lines() if line.isdigit()][starts - 1 :])[0])

    def talk(self, port):
        return smtplib.SMTP("127.0.0.1", port, "client.example.net", timeout=60)


@pytest.fixture
def service(tmp_path):
    made = Service(tmp_path)
    made.supervisors = []
    yield made
    if made.supervisors:
        made.stop()


def reply_to(service, port, recipient):
    with service.talk(port) as client:
        client.ehlo()
        client.mail("john@foodomain.net")
        return client.rcpt(recipient)


def test_mail_comes_in_through_the_service_directory(service):
    service.start()
    port = service.await_port(1)
    with service.talk(port) as client:
        recipients = ["joe@joedomain.net", "spam@joedomain.net", "later@joedomain.net"]
        refused = client.sendmail("john@foodomain.net", recipients, "Subject: hello\n\nhello joe\n")
    assert refused == {
        "spam@joedomain.net": (554, b"sorry, local policy does not let this message in"),
        "later@joedomain.net": (
            454,
            b"sorry, local policy does not let this message in right now, please try again later",
        ),
    }
    (delivered,) = (service.maildir / "new").iterdir()
    header = b"Return-Path: <john@foodomain.net>\nDelivered-To: joe@joedomain.net\nReceived:"
    assert delivered.read_bytes().startswith(header)
    poll(lambda: any(re.fullmatch(r"tcpserver: end \d+ status 0", line) for line in service.lines()))
    decisions = [line for line in service.lines() if line.startswith("qmail-smtpd: ")]
    assert [line.split()[3] for line in decisions] == [
        "Accept::RCPT::Rcpthosts_Rcptto",
        "Reject::RCPT::Extfork_100",
        "Reject::RCPT::Extfork_101",
    ]


def test_svc_k_brings_a_new_process_that_reads_the_environment_anew(service):
    service.start()
    port, pid = service.await_port(1), service.pid()
    service.put("554SMTPEXTFORK", "we have changed our mind")
    assert b"changed" not in reply_to(service, port, "spam@joedomain.net")[1]
    run("svc", "-k", service.directory)
    port = service.await_port(2)
    assert service.pid() not in (None, pid)
    assert reply_to(service, port, "spam@joedomain.net") == (554, b"we have changed our mind")


def test_new_rules_need_no_restart(service):
    service.start()
    port, pid = service.await_port(1), service.pid()
    assert reply_to(service, port, "x@elsewhere.example")[0] == 553
    run("sed", "-i.bak", "-e", "s|^#127.|127.|", service.directory / "tcp.smtp")
    run("make", cwd=service.directory)
    assert reply_to(service, port, "x@elsewhere.example")[0] == 250
    assert reply_to(service, port, "spam@joedomain.net")[0] == 250  # SMTPEXTFORKR is an empty list
    assert service.pid() == pid
    assert not any("Extforkr_Unset" in line for line in service.lines())


@pytest.mark.parametrize("name", services.KINDS)
def test_it_is_what_the_command_writes(name):
    """Where this fails: python -m tests.contrib.services."""
    there = {path: (path.read_text(), os.access(path, os.X_OK)) for path in (services.CONTRIB / name).rglob("*")
             if path.is_file()}  # fmt: skip
    assert there == services.files(name)


def test_make_show_shows_what_a_client_gets(service):
    text = run("make", "show", cwd=service.directory)
    assert text.endswith("rule :\nallow connection\n")


def test_the_log_says_when_the_server_is_not_installed(service):
    set_values(service.directory / "run", PATH="/usr/bin:/bin  #")
    service.start(path="/usr/bin:/bin")
    poll(lambda: "run: no qmailfork-smtpd in /usr/bin:/bin" in service.lines())


def test_the_warm_server_differs_in_one_word(tmp_path):
    made = Service(tmp_path, "service-listen")
    made.start()
    try:
        port, pid = made.await_port(1), made.pid()
        assert reply_to(made, port, "spam@joedomain.net")[0] == 554
        assert reply_to(made, port, "joe@joedomain.net")[0] == 250
        (made.home / "control" / "rcpthosts").write_text("other.example\n")
        run("svc", "-h", made.directory)
        poll(lambda: reply_to(made, port, "joe@joedomain.net")[0] == 553)
        assert made.pid() == pid
        run("svc", "-k", made.directory)
        again = made.await_port(2)
        assert reply_to(made, again, "joe@other.example")[0] == 250
        assert made.pid() != pid
    finally:
        made.stop()
