"""A client that vanishes after any octet leaves nothing half done, and others are served.

QMAILFORK_NIGHT=1 leaves out none of them.
"""

import os
import socket

import pytest

from tests.registry import OURS
from tests.servers import Driver, Talk
from tests.support import QmailHome, wait_for

SESSION = (
    b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nRCPT TO:<jim@joedomain.net>\r\nDATA\r\n"
    b"Subject: x\r\n\r\n..hello\r\n.\r\nRSET\r\nQUIT\r\n"
)
WHOLE = SESSION.index(b"\r\n.\r\n") + 5  # from here on the message is the server's
NIGHT = int(os.environ.get("QMAILFORK_NIGHT", "0"))


def vanish(talk: Talk, how: str) -> None:
    """Ends the client's side: it says no more but still reads, is gone, or resets the connection."""
    if how == "half":
        talk.client.half_close()
        talk.client.rest()
    elif how == "reset" and talk.client.socket.family == socket.AF_INET:
        talk.client.reset()
    else:
        talk.client.close()


@pytest.mark.timeout(0 if NIGHT else 120)
@pytest.mark.parametrize("how", ["half", "gone", "reset"])
@pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)
def test_after_each_octet(driver: Driver, how: str, home: QmailHome) -> None:
    env = home.environment()
    for at in range(0 if how == "half" else 1, len(SESSION), 1 if how == "half" or NIGHT else 3):
        with driver.open(home, env) as talk:
            talk.client.send(SESSION[:at])
            vanish(talk, how)
            status = talk.status()
            assert "Traceback" not in "".join(talk.log())
        assert status in (None, 1, 0 if at == len(SESSION) else 1), (at, status)
        assert at >= WHOLE or home.messages() == [], at
        if how == "half" and at >= WHOLE:
            assert len(home.messages()) == 1, at
        home.forget_messages()
    wait_for(lambda: not home.drafts(), what="the queue to drop what is not complete")
    with driver.open(home, env) as talk:
        talk.client.send(SESSION)
        assert talk.client.rest().endswith(b"221 mail.joedomain.net\r\n")
    assert [message.recipients for message in home.messages()][-1] == (b"joe@joedomain.net", b"jim@joedomain.net")


CHUNKS = (
    b"MAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nBDAT 13\r\nSubject: x\r\n\r"
    b"BDAT 8 LAST\r\n\n.\r\nQUITNOOP\r\n"
)
TAKEN = CHUNKS.index(b"NOOP")  # from here on the message is the server's


@pytest.mark.parametrize("how", ["half", "gone"])
@pytest.mark.parametrize("driver", [driver for driver in OURS if driver.alone], ids=lambda driver: driver.name)
def test_after_each_octet_of_chunks(driver: Driver, how: str, home: QmailHome) -> None:
    env = home.environment(QMAILFORK_EXTENSIONS="chunking")
    for at in range(CHUNKS.index(b"BDAT"), len(CHUNKS)):
        with driver.open(home, env) as talk:
            talk.client.send(CHUNKS[:at])
            vanish(talk, how)
            assert talk.status() in (None, 1)
        assert at >= TAKEN or home.messages() == [], at
        if how == "half" and at >= TAKEN:
            assert len(home.messages()) == 1, at
        home.forget_messages()
    wait_for(lambda: not home.drafts(), what="the queue to drop what is not complete")
