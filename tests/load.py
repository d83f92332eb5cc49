"""Clients that send numbered messages, and the account that is held afterwards: what was acknowledged is queued once.

Every attempt has a name of its own, which stands in its message with all that makes it up: so the queue's record tells
whether it is whole, and whose recipients it has.
"""

import random
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from tests.smtpclient import Client
from tests.support import QmailHome, Stored, wait_for

NAME = re.compile(rb"^X-Name: (.*)$", re.MULTILINE)
RECIPIENTS = ("ok", "dunno", "dunno+there")  # what the policy server in fakes/ says of each is its local part


@dataclass(frozen=True)
class Attempt:
    """A message on its way: its name, its text as it is sent, and the recipients that were accepted."""

    name: str
    text: bytes
    recipients: list[bytes] = field(default_factory=list)


class Load:
    """`senders` threads, each of which sends `each` messages on connections of their own until each is acknowledged,
    and more of them until `enough`.

    With `wild` a part of the attempts is broken off anywhere; messages and manners come from `seed`.
    """

    def __init__(
        self,
        port: int,
        senders: int,
        each: int,
        seed: int = 0,
        wild: bool = False,
        enough: Callable[[], bool] = lambda: True,
    ) -> None:
        self.port = port
        self.each = each
        self.wild = wild
        self.enough = enough
        self.tried: dict[str, Attempt] = {}
        self.acknowledged: list[str] = []
        self.faults: list[BaseException] = []
        self.threads = [
            threading.Thread(target=self._send_all, args=(number, random.Random(f"{seed} {number}")))
            for number in range(senders)
        ]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self.threads:
            thread.join()

    @property
    def done(self) -> bool:
        """Whether all is sent, or a sender has failed."""
        return bool(self.faults) or not any(thread.is_alive() for thread in self.threads)

    def _send_all(self, sender: int, chance: random.Random) -> None:
        try:
            for number in count():
                if number >= self.each and self.enough():
                    return
                attempt = 0
                while not self._send(f"{sender}-{number}-{attempt}", chance):
                    attempt += 1
        except BaseException as fault:  # told in the main thread
            self.faults.append(fault)

    def _send(self, name: str, chance: random.Random) -> bool:
        """One attempt; whether it was acknowledged. A server that is not there is waited for."""
        attempt = Attempt(name, written(name, chance))
        self.tried[name] = attempt
        with wait_for(self._connect, what="the server") as client:
            if self.wild and chance.random() < 0.15:
                return self._break_off(client, attempt, chance)
            if not client.reply() or not self._address(client, attempt, chance):
                return False
            reply = client.command(attempt.text + b".")
            if not reply or not reply[0].startswith(b"250 "):
                return False
            self.acknowledged.append(name)
            client.command("QUIT")
            return True

    def _address(self, client: Client, attempt: Attempt, chance: random.Random) -> bool:
        """The envelope and DATA: whether the message may come."""
        client.command("MAIL FROM:<a@example.net>")
        for number in range(chance.choice([1, 1, 1, 2, 3])):
            recipient = f"{RECIPIENTS[number]}@joedomain.net"
            if client.command(f"RCPT TO:<{recipient}>") == [b"250 ok"]:
                attempt.recipients.append(recipient.encode())
        return bool(attempt.recipients) and client.command("DATA") == [b"354 go ahead"]

    def _break_off(self, client: Client, attempt: Attempt, chance: random.Random) -> bool:
        """Say all at once up to anywhere, and go: nobody will know of the message."""
        attempt.recipients.append(b"ok@joedomain.net")
        words = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<ok@joedomain.net>\r\nDATA\r\n" + attempt.text + b".\r\n"
        client.send(words[: chance.randrange(len(words) + 1)])
        chance.choice([client.close, client.reset, client.half_close])()
        return False

    def _connect(self) -> Client | None:
        try:
            return Client.connect("127.0.0.1", self.port)
        except (ConnectionRefusedError, ConnectionResetError):
            return None


def written(name: str, chance: random.Random) -> bytes:
    """A message of this name: short, or longer than any pipe."""
    lines = chance.choice([0, 1, 50, 50, 50, 3000])
    return b"X-Name: %b\r\n\r\n" % name.encode() + b"".join(b"%d %b\r\n" % (at, b"x" * 60) for at in range(lines))


def name_of(stored: Stored) -> str:
    found = NAME.search(stored.message)
    assert found, stored
    return found[1].decode()


@dataclass(frozen=True)
class Account:
    """What became of the messages: acknowledged, queued although their senders never knew, and attempts in all."""

    acknowledged: int
    unknown: int
    tried: int


def settle(load: Load, home: QmailHome) -> Account:
    """Hold the queue's record against what the clients know. AssertionError where a message is lost, double or torn."""
    if load.faults:
        raise load.faults[0]
    queued = home.messages()
    counted = Counter(name_of(stored) for stored in queued)
    assert max(counted.values(), default=1) == 1, [name for name, count in counted.items() if count > 1]
    lost = set(load.acknowledged) - set(counted)
    assert not lost, lost
    for stored in queued:
        attempt = load.tried[name_of(stored)]
        assert stored.body == attempt.text.replace(b"\r\n", b"\n"), attempt.name
        assert list(stored.recipients) == attempt.recipients, attempt.name
    return Account(len(load.acknowledged), len(counted) - len(load.acknowledged), len(load.tried))
