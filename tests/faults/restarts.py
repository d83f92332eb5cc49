"""A listener under load that svc -k restarts again and again."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.load import Account, Load, settle
from tests.smtpclient import Client
from tests.supervised import free_port, supervised
from tests.support import QmailHome, qmailfork, wait_for

TIMES = 5


@dataclass(frozen=True)
class Restarts:
    """The account of the messages, and how many seconds after each svc -k the next instance greeted a client."""

    account: Account
    seconds: list[float]


def restarts(home: QmailHome, directory: Path, seed: int, senders: int, each: int, *options: str) -> Restarts:
    """Send `senders` times `each` messages while the service is restarted. AssertionError where one is cut off."""
    port, seconds = free_port(), []
    argv = qmailfork("listen", "-H", "-R", "-l", "mx", "--workers", "2", *options, "127.0.0.1", str(port))
    env = {name: value for name, value in home.environment().items() if not name.startswith("TCP")}
    with supervised(directory, argv, env) as service, Load(port, senders, each, seed) as load:
        for part in range(1, TIMES + 1):
            due = part * senders * each // (TIMES + 1)
            wait_for(lambda due=due: load.done or len(load.acknowledged) >= due, 86400, what="the load")
            before, began = service.pid(), time.monotonic()
            service.svc("-k")
            service.wait_for_pid(other_than=before)
            wait_for(lambda: greeted(port), what="the next instance")
            seconds.append(time.monotonic() - began)
    account = settle(load, home)
    assert account.acknowledged == senders * each
    assert account.unknown == 0, account
    assert account.tried == account.acknowledged, account  # each session that was open finished
    return Restarts(account, seconds)


def greeted(port: int) -> bool:
    """Whether a client is greeted there; an old worker may do that for those who wait already."""
    try:
        with Client.connect("127.0.0.1", port) as client:
            return client.reply()[:1] == [b"220 mail.joedomain.net ESMTP"]
    except (ConnectionRefusedError, ConnectionResetError):
        return False
