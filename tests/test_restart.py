"""svc -k and svc -t under load: an acknowledged message is in the queue exactly once, and nothing else is.

QMAILFORK_RESTART=2000 sends that many messages.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.load import Load, settle
from tests.supervised import free_port, supervised
from tests.support import QmailHome, qmailfork, smtpd, wait_for

SENDERS = 6
EACH = -(-int(os.environ.get("QMAILFORK_RESTART", "120")) // SENDERS)


def under_tcpserver(port: int) -> list[str]:
    return ["tcpserver", "-H", "-R", "-l", "mx", "-b", "200", "127.0.0.1", str(port), *smtpd()]


def warm(port: int) -> list[str]:
    return qmailfork("listen", "-H", "-R", "-l", "mx", "--workers", "2", "127.0.0.1", str(port))


@pytest.mark.timeout(0 if EACH > 100 else 120)
@pytest.mark.parametrize("option", ["-k", "-t"])
@pytest.mark.parametrize("server", [under_tcpserver, warm], ids=["tcpserver", "listener"])
def test_restart_under_load(server: Callable[[int], list[str]], option: str, home: QmailHome, tmp_path: Path) -> None:
    port = free_port()
    env = {name: value for name, value in home.environment().items() if not name.startswith("TCP")}
    with supervised(tmp_path / "service", server(port), env) as service, Load(port, SENDERS, EACH) as load:
        for part in (1, 2):
            wait_for(lambda part=part: len(load.acknowledged) >= part * SENDERS * EACH // 3, 300, what="the load")
            before = service.pid()
            service.svc(option)
            service.wait_for_pid(other_than=before)
    account = settle(load, home)
    assert account.acknowledged == SENDERS * EACH
    assert account.unknown == 0  # no session was cut off
    assert home.drafts() == []
