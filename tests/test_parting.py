"""The last reply reaches a client that is still sending: the connection is not reset over octets that nobody reads."""

import socket
import time

import pytest

from tests.registry import OURS
from tests.servers import Driver
from tests.support import PATIENCE, QmailHome

ENVELOPE = b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\n"
MORE = b"x" * 300_000
LAST = {  # what the client says, the last reply, the environment
    "quit": (b"QUIT\r\n", b"221 mail.joedomain.net\r\n", {}),
    "refused": (
        ENVELOPE,
        b"554 sorry, permanent envelope failure due to local policy\r\n",
        {"SMTPEXTFORK": "fakes/exit 100", "XF_QUITASAP": "1"},
    ),
    "stray newline": (ENVELOPE + b"DATA\r\n\n", b"451 See https://cr.yp.to/docs/smtplf.html.\r\n", {}),
}
SERVERS = pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)


@pytest.mark.parametrize("last", LAST)
@SERVERS
def test_the_last_reply_arrives(driver: Driver, last: str, home: QmailHome) -> None:
    words, reply, env = LAST[last]
    with driver.open(home, home.environment(**env)) as talk:
        talk.client.socket.settimeout(PATIENCE)
        talk.client.socket.sendall(words + MORE)  # BrokenPipeError or ConnectionResetError where it is reset
        talk.client.socket.shutdown(socket.SHUT_WR)
        said = b""
        while block := talk.client.socket.recv(65536):
            said += block
    assert said.endswith(reply)


@SERVERS
def test_who_never_ends_is_left(driver: Driver, home: QmailHome) -> None:
    with driver.open(home, home.environment()) as talk:
        talk.client.socket.settimeout(PATIENCE)
        talk.client.socket.sendall(b"QUIT\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send_until(talk.client.socket, time.monotonic() + PATIENCE)


def send_until(to: socket.socket, deadline: float) -> None:
    while time.monotonic() < deadline:
        to.sendall(MORE)
