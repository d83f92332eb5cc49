"""The warm listener, and the tcpserver that it is held against, each with the options of a test."""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tests.smtpclient import Client
from tests.support import PATIENCE, QmailHome, qmailfork, recorded, smtpd
from tests.ucspi import Server, listening

LOCAL = "mail.joedomain.net"
NO_NAMES = ("-H", "-R", "-l", LOCAL)
ENVELOPE = ("HELO foo", "MAIL FROM:<a@example.net>", "RCPT TO:<joe@joedomain.net>")
TOO_MANY = b"421 "

Starter = Callable[..., AbstractContextManager[Server]]


def environment(home: QmailHome, **more: str) -> dict[str, str]:
    """What a server is started with: nothing of tcp-environ(5)."""
    kept = {name: value for name, value in home.environment().items() if not name.startswith("TCP")}
    return {name: value for name, value in kept.items() if name != "PROTO"} | more


def start(
    argv: Sequence[str], home: QmailHome, name: str, host: str, env: dict[str, str]
) -> AbstractContextManager[Server]:
    reached = {"0": "127.0.0.1", "::": "::1"}.get(host, host)
    return listening(argv, environment(home, **env), home.path / f"{name}.log", reached)


def warm(
    home: QmailHome, *options: str, host: str = "127.0.0.1", port: str = "0", **env: str
) -> AbstractContextManager[Server]:
    """`qmailfork listen` at `home`."""
    return start(qmailfork("listen", "-1", *options, host, port), home, "listener", host, env)


def cold(
    home: QmailHome, *options: str, host: str = "127.0.0.1", port: str = "0", **env: str
) -> AbstractContextManager[Server]:
    """tcpserver with the same options before qmailfork-smtpd."""
    return start(["tcpserver", "-1", *options, host, port, *smtpd()], home, "tcpserver", host, env)


def from_address(server: Server, source: str) -> Client:
    """A client with this address."""
    return Client(socket.create_connection((server.host, server.port), timeout=PATIENCE, source_address=(source, 0)))


def said(client: Client, *lines: str) -> bytes:
    """The last line of the reply to the last of these, after the greeting."""
    replies = [client.reply(), *(client.command(line) for line in lines)]
    return replies[-1][-1] if replies[-1] else b""


def send_message(client: Client, text: str = "Subject: x\r\n\r\nhello\r\n.") -> bytes:
    """The reply to a message, the greeting not read yet."""
    assert said(client, *ENVELOPE, "DATA") == b"354 go ahead"
    return client.command(text)[-1]


def tcp_environment(client: Client, record: Path) -> dict[str, str]:
    """What a checker `record` that is in the list sees of tcp-environ(5), but for the client's own port."""
    assert said(client, *ENVELOPE) == b"250 ok"
    variables = dict(variable.split("=", 1) for variable in recorded(record)["env"])
    record.unlink()
    assert variables.pop("TCPREMOTEPORT") == str(client.socket.getsockname()[1])
    return {name: value for name, value in variables.items() if name.startswith("TCP") or name == "PROTO"}


def children(pid: int) -> list[int]:
    """The process ids of a process's children."""
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in told.split()]


def descriptors(pid: int) -> list[str]:
    """What each open descriptor of a process is, sorted."""
    place = f"/proc/{pid}/fd"
    found = []
    for number in os.listdir(place):
        try:
            found.append(os.readlink(f"{place}/{number}"))
        except FileNotFoundError:
            continue
    return sorted(found)


BOTH = [warm, cold]
