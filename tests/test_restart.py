"""svc -k and svc -t under load: an acknowledged message is in the queue exactly once, and nothing else is."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.smtpclient import Client
from tests.supervised import free_port, supervised
from tests.support import QmailHome, qmailfork, smtpd, wait_for

SENDERS, EACH = 6, 20


def under_tcpserver(port: int) -> list[str]:
    return ["tcpserver", "-H", "-R", "-l", "mx", "-b", "200", "127.0.0.1", str(port), *smtpd()]


def warm(port: int) -> list[str]:
    return qmailfork("listen", "-H", "-R", "-l", "mx", "--workers", "2", "127.0.0.1", str(port))


class Load:
    """Clients that send numbered messages, each on a connection of its own, until each was acknowledged."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.tried: list[str] = []
        self.acknowledged: list[str] = []
        self.faults: list[BaseException] = []
        self.threads = [threading.Thread(target=self._send_all, args=(number,)) for number in range(SENDERS)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self.threads:
            thread.join()

    def _send_all(self, sender: int) -> None:
        try:
            for number in range(EACH):
                attempt = 0
                while not self._send(f"{sender}-{number}-{attempt}"):
                    attempt += 1
        except BaseException as fault:  # told in the main thread
            self.faults.append(fault)

    def _send(self, name: str) -> bool:
        """One attempt; whether it was acknowledged. A server that is not there is waited for."""
        with wait_for(self._connect, what="the server") as client:
            self.tried.append(name)
            lines = ["MAIL FROM:<a@example.net>", "RCPT TO:<joe@joedomain.net>", "DATA"]
            if not client.reply() or any(not client.command(line) for line in lines):
                return False
            reply = client.command(f"X-Name: {name}\r\n\r\n" + "text\r\n" * 50 + ".")
            if not reply or not reply[0].startswith(b"250 "):
                return False
            self.acknowledged.append(name)
            client.command("QUIT")
            return True

    def _connect(self) -> Client | None:
        try:
            return Client.connect("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return None


def names(home: QmailHome) -> list[str]:
    """The names of the messages in the queue."""
    found = [re.search(rb"^X-Name: (.*)$", message.message, re.MULTILINE) for message in home.messages()]
    return [name[1].decode() for name in found if name]


@pytest.mark.parametrize("option", ["-k", "-t"])
@pytest.mark.parametrize("server", [under_tcpserver, warm], ids=["tcpserver", "listener"])
def test_restart_under_load(server: Callable[[int], list[str]], option: str, home: QmailHome, tmp_path: Path) -> None:
    port = free_port()
    env = {name: value for name, value in home.environment().items() if not name.startswith("TCP")}
    with supervised(tmp_path / "service", server(port), env) as service, Load(port) as load:
        for part in (1, 2):
            wait_for(lambda part=part: len(load.acknowledged) >= part * SENDERS * EACH // 3, what="the load")
            before = service.pid()
            service.svc(option)
            service.wait_for_pid(other_than=before)
    assert load.faults == []
    assert len(load.acknowledged) == SENDERS * EACH
    assert sorted(names(home)) == sorted(load.acknowledged)
    assert home.drafts() == []
