"""man/qmailfork-cookbook.7 as something to run: its marked examples, laid out in a directory, served by supervise.

A comment before a .Bd -literal block says what the block is:

    file: PATH                 a file; a relative one is in the service directory
    run                        commands for sh -e, given in the service directory
    told                       what the last commands wrote
    log                        lines of the log, in this order
    session: ADDRESS [at HOST] what a client from there hears (S:) and says (C:)
    session: goes on           the last client again

`...` stands for whatever is there.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.smtpclient import Client
from tests.supervised import end_what_is_left, free_port
from tests.support import PATIENCE, ROOT, wait_for

PAGE = ROOT / "man" / "qmailfork-cookbook.7"
BLOCK = re.compile(r'^\.\\" (\w+)(?:: (.*))?\n\.Bd -literal.*\n((?:.*\n)*?)\.Ed$', re.MULTILINE)
ID = "k3m9-x2qp-1"
AN_ID = re.compile(r"\b[a-z0-9]{4}-[a-z0-9]{4}-\d+\b")


class Block(NamedTuple):
    """A marked example: its kind, the rest of the mark, its text."""

    kind: str
    about: str
    text: str


def situations() -> dict[str, list[Block]]:
    """The page's situations, in order: title → blocks."""
    found = {}
    for part in PAGE.read_text().split("\n.Ss ")[1:]:
        title, _, text = part.partition("\n")
        text = text.partition("\n.Sh ")[0]
        found[title] = [Block(kind, about, plain(block)) for kind, about, block in BLOCK.findall(text)]
    return found


def plain(text: str) -> str:
    """The text that mdoc shows."""
    return re.sub(r"^\\&", "", text, flags=re.MULTILINE).replace(r"\e", "\\")


def pattern(text: str) -> str:
    """A regular expression for an expected text."""
    return re.escape(text).replace(re.escape("..."), r"(?s:.*?)")


class Host:
    """A machine of the page: everything absolute is below `root`, its service is run by supervise, at a free port."""

    def __init__(self, root: Path, replaced: Mapping[str, str], after: ExitStack) -> None:
        self.root, self.after, self.port = root, after, free_port()
        self.service = root / "service" / "smtpd"
        self.log = root / "var" / "log" / "qmail" / "smtpd" / "current"
        for place in (self.service / "env", self.log.parent, root / "etc", root / "var" / "qmail" / "bin"):
            place.mkdir(parents=True)
        self.replaced = {
            "/usr/local/bin": f"{root}/usr/local/bin",
            "/var/qmail": f"{root}/var/qmail",
            "/var/log/qmail": f"{root}/var/log/qmail",
            "/var/mail": f"{root}/var/mail",
            "/etc/": f"{root}/etc/",
            "/service/smtpd": str(self.service),
            ' -u "$(id -u qmaild)" -g "$(id -g qmaild)"': "",
            "-o qmaild -g nofiles ": "",
            "qmaild": str(os.geteuid()),
            " 0 25": f" 127.0.0.1 {self.port}",
            " 0 587": f" 127.0.0.1 {self.port}",
            "192.0.2.": "127.0.2.",
            "203.0.113.": "127.0.113.",
            **replaced,
        }
        self.programs()
        self.supervise: subprocess.Popen[bytes] | None = None
        self.output = self.id = ""

    def programs(self) -> None:
        """What pip would have installed."""
        place = self.root / "usr" / "local" / "bin"
        place.mkdir(parents=True)
        contrib = ROOT / "contrib"
        for file in [*(ROOT / "bin").iterdir(), *(contrib / "checkers").iterdir(), contrib / "checkpassword-file"]:
            (place / file.name).symlink_to(file)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.root}/usr/local/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, "QMAILHOME": f"{self.root}/var/qmail", "COLUMNS": "200"}

    def here(self, text: str) -> str:
        """The page's text, for this machine."""
        for theirs, ours in self.replaced.items():
            text = text.replace(theirs, ours)
        return text.replace(ID, self.id or ID)

    def write(self, path: str, text: str) -> None:
        file = self.service / self.here(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(text))
        file.chmod(0o755 if text.startswith("#!") else 0o644)

    def run(self, commands: str) -> None:
        """Runs commands; where they restart the service, waits until it is another process."""
        before = self.pid()
        argv = ["sh", "-ec", self.here(commands)]
        done = subprocess.run(argv, cwd=self.service, env=self.environment, capture_output=True, text=True, check=False)
        self.output = done.stdout + done.stderr
        assert done.returncode == 0, f"{commands}\n{self.output}"
        if "svc -" in commands and before:
            wait_for(lambda: self.pid() not in (0, before), what="a restart")

    def pid(self) -> int:
        """The process id of the service, 0 where it does not run."""
        if self.supervise is None:
            return 0
        argv = ["svstat", str(self.service)]
        told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return int(told.partition("(pid ")[2].partition(")")[0] or 0)

    def connect(self, address: str) -> Client:
        """A client at `address`; the service is started first where it does not run yet."""
        if self.supervise is None:
            self.after.enter_context(self.supervised())
        source = (self.here(address), 0)

        def connected() -> socket.socket | None:
            try:
                return socket.create_connection(("127.0.0.1", self.port), PATIENCE, source)
            except ConnectionRefusedError:
                return None

        found = wait_for(connected, what=f"the service: {self.log.read_text()}")
        return self.after.enter_context(Client(found))

    def supervised(self) -> "Supervised":
        with self.log.open("ab") as log:
            argv = ["supervise", str(self.service)]
            self.supervise = subprocess.Popen(
                argv, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        return Supervised(self.service, self.supervise)

    def speak(self, client: Client, lines: str) -> None:
        """Says the C: lines and compares the S: lines."""
        said = ""
        for line in lines.splitlines():
            who, text = line[:2], self.here(line[3:])
            if who == "C:":
                client.send(text.encode() + b"\r\n")
                said = text
                continue
            heard = client.read_line().decode()
            if said == "STARTTLS" and heard.startswith("220"):
                client.start_tls()
            if ID in line:
                self.id = "".join(AN_ID.findall(heard))
                text = self.here(line[3:])
            assert re.fullmatch(pattern(text), heard), f"{heard!r}, not {text!r}: {self.log.read_text()}"

    def told(self, text: str) -> None:
        expected = self.here(text)
        assert re.fullmatch(pattern(expected.strip()), self.output.strip()), f"{self.output}\n--- not\n{expected}"

    def logged(self, text: str) -> None:
        expected = ".*".join(pattern(self.here(line)) for line in text.splitlines())
        wanted = re.compile(expected, re.DOTALL)
        try:
            wait_for(lambda: wanted.search(self.log.read_text()), what="the log")
        except AssertionError:
            raise AssertionError(f"{self.log.read_text()}\n--- not\n{self.here(text)}") from None


class Supervised:
    """supervise, until the block's end."""

    def __init__(self, service: Path, process: subprocess.Popen[bytes]) -> None:
        self.service, self.process = service, process

    def __enter__(self) -> None:
        wait_for((self.service / "supervise" / "ok").exists, what="supervise")

    def __exit__(self, *fault: object) -> None:
        subprocess.run(["svc", "-dx", str(self.service)], check=False)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        end_what_is_left(self.process.pid)


def play(blocks: list[Block], hosts: Mapping[str, Host]) -> None:
    """Does a situation's blocks one by one; files and commands on every host, the rest on the one last spoken to."""
    host = next(iter(hosts.values()))
    client: Client | None = None
    for block in blocks:
        if block.kind in ("file", "run"):
            for each in hosts.values():
                each.write(block.about, block.text) if block.kind == "file" else each.run(block.text)
        elif block.kind == "session":
            if block.about != "goes on":
                address, _, where = block.about.partition(" at ")
                host = hosts[where] if where else host
                client = host.connect(address)
            assert client is not None
            host.speak(client, block.text)
        else:
            {"told": host.told, "log": host.logged}[block.kind](block.text)


def hosts_of(blocks: list[Block]) -> Iterator[str]:
    """The hosts that a situation names."""
    named = {about.partition(" at ")[2] for kind, about, _ in blocks if kind == "session"} - {""}
    return iter(sorted(named) or ["mx"])
