"""Clients that vanish with their words unread do not keep their place in the listener."""

import os
from pathlib import Path

import pytest

from tests.support import QmailHome, qmailfork, wait_for
from tests.ucspi import listening

WORDS = b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nDATA\r\n" + b"x\r\n" * 50000


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("way", ["close", "reset"])
def test_every_session_ends(home: QmailHome, tmp_path: Path, loop: str, way: str) -> None:
    options = ["-v", "-1", "-H", "-R", "-l", "mx", "--workers", "1", "--loop", loop]
    env = {"PATH": os.defpath, "QMAILHOME": str(home.path), "FAKE_QUEUE_DIR": str(home.stored)}
    argv = qmailfork("listen", *options, "127.0.0.1", "0")
    with listening(argv, env, tmp_path / "log", "127.0.0.1") as server:
        for length in (*range(80), 4096, 8192, 70000, len(WORDS)):
            client = server.connect()
            client.send(WORDS[:length])
            getattr(client, way)()
        wait_for(lambda: sum("tcpserver: end" in line for line in server.log()) == 84, what="all sessions to end")
        assert server.log()[-1] == "tcpserver: status: 0/40"
    assert home.messages() == []
