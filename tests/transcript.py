"""Transcripts: reading a case from its file and playing it against a driver (format: transcripts/README)."""

import fcntl
import re
import socket
import subprocess
import termios
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import Driver, Talk
from tests.support import QmailHome, Stored, wait_for

WAYS = ("whole", "lines", "bytes")
PLACES = {
    "time": r"\d{9,11}",
    "pid": r"\d+",
    "date": r"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000",
    "*": ".*",
}
LINE = re.compile(r"(?P<who>[A-Z])(?:\*(?P<times>\d+))?(?P<form>[:>])(?: (?P<text>.*))?$")
ESCAPE = re.compile(rb"\\(r|n|t|0|\\|x[0-9a-fA-F]{2})")
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


@dataclass
class Message:
    """A message that the queue must have acknowledged; `text` None: whatever it contains."""

    sender: str
    recipients: list[str]
    text: bytes | None = None


@dataclass
class Case:
    """One transcript. `steps` are ("C", octets), ("S", expected line), ("C end", b"") and ("S end", b"")."""

    name: str
    env: dict[str, str | None] = field(default_factory=dict)
    control: dict[str, bytes | None] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    databases: dict[str, bytes] = field(default_factory=dict)
    queue: str | None = "queue"
    ways: tuple[str, ...] = WAYS
    cold: bool = False
    ours: str = ""
    alone: str = ""
    steps: list[tuple[str, bytes]] = field(default_factory=list)
    status: int | None = None
    queued: list[Message] = field(default_factory=list)
    log: list[bytes] | None = None

    def control_files(self) -> str:
        """What its control files are told from another case's by."""
        parts = sorted(self.control.items()), sorted(self.directories), self.domains, sorted(self.databases.items())
        return repr(parts)

    def fits(self, driver: Driver) -> bool:
        """Whether the case says something about this driver."""
        told = (driver.cold or not self.cold) and not (driver.tcp and None in self.env.values())
        return told and (driver.ours or not self.ours) and (driver.alone or not self.alone)


def unescape(text: str) -> bytes:
    """The octets that a text with \\r \\n \\t \\0 \\\\ \\xHH stands for."""
    octets = text.encode("latin-1", "surrogateescape") if text.isascii() else text.encode("utf-8")
    return ESCAPE.sub(lambda m: ESCAPES.get(m[1]) or bytes.fromhex(m[1][1:].decode()), octets)


def read_case(file: Path) -> Case:
    """Parses a transcript; ValueError names file and line."""
    case = Case(file.stem)
    head, _, body = ("\n" + file.read_text("utf-8")).partition("\n---\n")
    for read, part, start in ((read_header, head, 0), (read_step, body, head.count("\n") + 2)):
        for number, line in enumerate(part.split("\n"), start):
            if line.strip() and not line.startswith("#"):
                try:
                    read(case, line)
                except (ValueError, KeyError, IndexError) as fault:
                    raise ValueError(f"{file}:{number}: {line!r}: {fault}") from None
    return case


def read_header(case: Case, line: str) -> None:
    name, _, value = line.partition(": ")
    word, _, rest = name.partition(" ")
    if word == "env":
        variable, is_set, text = value.partition("=")
        case.env[variable] = unescape(text).decode("utf-8", "surrogateescape") if is_set else None
    elif word == "control":
        read_control(case, rest, value)
    elif word == "cdb" and rest:
        case.databases[rest] = records(value.split())
    elif word == "cdb":
        case.domains = value.split()
    elif word == "queue":
        case.queue = None if value == "(absent)" else value
    elif word == "ways":
        case.ways = tuple(value.split())
    elif word == "cold":
        case.cold = True
    elif word == "ours":
        case.ours = value
    elif word == "alone":
        case.alone = value
    else:
        raise ValueError("unknown header")


def read_control(case: Case, name: str, value: str) -> None:
    if value == "(absent)":
        case.control[name] = None
    elif value == "(directory)":
        case.directories.append(name)
    elif value == "(empty)":
        case.control[name] = b""
    else:
        case.control[name] = unescape(value)


def records(words: list[str]) -> bytes:
    """What cdb -c reads: a record for each `key` or `key=value`."""
    pairs = [(unescape(key), unescape(value)) for key, _, value in (word.partition("=") for word in words)]
    return b"".join(b"+%d,%d:%b->%b\n" % (len(key), len(value), key, value) for key, value in pairs) + b"\n"


def read_step(case: Case, line: str) -> None:
    if line in ("C end", "S end"):
        case.steps.append((line, b""))
        return
    if line.startswith("Exit: "):
        case.status = int(line[6:])
    elif line.startswith("Queued: "):
        words = [unescape(word).decode("utf-8", "surrogateescape") for word in line[8:].split(" ")]
        sender, *recipients = words
        case.queued.append(Message("" if sender == "<>" else sender, recipients))
    elif line == "No log":
        case.log = []
    else:
        read_octets(case, line)


def read_octets(case: Case, line: str) -> None:
    if not (found := LINE.match(line)):
        raise ValueError("neither a step nor an expectation")
    octets, raw = unescape(found["text"] or ""), found["form"] == ">"
    times = int(found["times"] or 1)
    if found["who"] == "C":
        case.steps.append(("C", (octets if raw else octets + b"\r\n") * times))
    elif found["who"] == "S":
        case.steps += [("S", octets)] * times
    elif found["who"] == "M":
        message = case.queued[-1]
        message.text = (message.text or b"") + (octets if raw else octets + b"\n") * times
    elif found["who"] == "L":
        case.log = (case.log or []) + [octets] * times
    else:
        raise ValueError("lines begin with C, S, M or L")


def prepare(case: Case, home: QmailHome) -> dict[str, str]:
    """Sets the home up for the case; returns the session's environment."""
    home.control(**case.control)
    for name in case.directories:
        home.control(**{name: None})
        (home.path / "control" / name).mkdir()
    if case.domains:
        home.more_rcpthosts(case.domains)
    for name, text in case.databases.items():
        subprocess.run(["cdb", "-c", str(home.path / "control" / name)], input=text, check=True)
    home.queue(case.queue)
    here = {n: v if v is None else v.replace("{home}", str(home.path)) for n, v in case.env.items()}
    return home.environment(**here)


def play(case: Case, way: str, driver: Driver, home: QmailHome) -> None:
    """Plays the case; AssertionError says where the server went another way."""
    env = prepare(case, home)
    with driver.open(home, env) as talk:
        (play_whole if way == "whole" else play_stepwise)(case, talk, driver, way == "bytes")
        ending(case, talk)
        status = talk.status()
        assert case.status is None or status in (None, case.status), (status, talk.log())
        if driver.ours:
            check_log(case, home, talk)
    check_queue(case, home)


def play_whole(case: Case, talk: Talk, driver: Driver, _: bool) -> None:
    talk.client.send(b"".join(octets for step, octets in case.steps if step == "C"))
    if ("C end", b"") in case.steps:
        talk.client.half_close()
    for step, expected in case.steps:
        if step == "S":
            expect(talk, driver, expected)


def play_stepwise(case: Case, talk: Talk, driver: Driver, bytewise: bool) -> None:
    for step, octets in case.steps:
        if step == "C" and bytewise:
            send_bytewise(talk, octets)
        elif step == "C":
            talk.client.send(octets)
        elif step == "C end":
            talk.client.half_close()
        elif step == "S":
            expect(talk, driver, octets)


def send_bytewise(talk: Talk, octets: bytes) -> None:
    """Sends one octet at a time, each when the server has read the one before."""
    for octet in octets:
        send_and_wait(talk, bytes([octet]))


def send_and_wait(talk: Talk, octets: bytes) -> None:
    """Sends, and waits until the server has read all of it, where the socket can tell: on TCP it cannot."""
    talk.client.send(octets)
    if talk.client.socket.family == socket.AF_UNIX:  # what is unread counts as unsent
        wait_for(lambda: unread(talk) == 0, what="the server to read on")


def unread(talk: Talk) -> int:
    """How many octets the server has not taken yet; none where it has gone."""
    if talk.process is not None and talk.process.poll() is not None:
        return 0
    return int.from_bytes(fcntl.ioctl(talk.client.socket, termios.TIOCOUTQ, bytes(4)), "little")


def expect(talk: Talk, driver: Driver, expected: bytes) -> None:
    """The next line of the server's is the expected one; the reference knows no SIZE, wrapped or not."""
    if (driver.ours and driver.alone) or not expected.startswith(b"250-SIZE "):
        line = talk.client.read_line()
        assert matches(expected, line), f"expected {expected!r}, not {line!r}; log: {talk.log()}"


def matches(expected: bytes, found: bytes, **places: str) -> bool:
    """Whether the octets are the expected ones; {time}, {pid}, {date} and {*} stand for what may vary."""
    if b"{" not in expected:
        return expected == found
    pattern = re.escape(expected.decode("latin-1"))
    for name, meaning in {**PLACES, **places}.items():
        pattern = pattern.replace(re.escape("{" + name + "}"), meaning)
    return re.fullmatch(pattern, found.decode("latin-1"), re.DOTALL) is not None


def ending(case: Case, talk: Talk) -> None:
    """The connection ends without another word: by itself where the case says so, else at end of input."""
    if case.steps[-1][0] != "S end":
        talk.client.half_close()
    rest = talk.client.rest()
    assert rest == b"", f"after the last expected line came {rest!r}"


def check_log(case: Case, home: QmailHome, talk: Talk) -> None:
    if case.log is not None:
        lines = [line for line in talk.log() if not line.startswith("tcpserver: ")]
        agree = len(lines) == len(case.log) and all(
            matches(want, line.encode("latin-1"), home=re.escape(str(home.path)))
            for want, line in zip(case.log, lines, strict=True)
        )
        assert agree, f"expected the log {case.log}, not {lines}"


def check_queue(case: Case, home: QmailHome) -> None:
    wait_for(lambda: not home.drafts(), what="the queue to drop what is not complete")
    stored = home.messages()
    assert [envelope(found) for found in stored] == [(want.sender, want.recipients) for want in case.queued]
    for want, found in zip(case.queued, stored, strict=True):
        assert want.text is None or matches(want.text, found.message), (want.text, found.message)


def envelope(stored: Stored) -> tuple[str, list[str]]:
    octets = (stored.sender, *stored.recipients)
    sender, *recipients = (text.decode("utf-8", "surrogateescape") for text in octets)
    return sender, [recipient or "<>" for recipient in recipients]
