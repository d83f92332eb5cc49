"""How much memory a session takes."""

import subprocess
from pathlib import Path

from tests.drivers.session import HELO, MAIL, RCPT
from tests.servers import Talk, stdio
from tests.support import QmailHome

BLOCK = (b"x" * 76 + b"\r\n") * 1000
TWENTY_MB = 20_000_000 // len(BLOCK)
KIB = 1024


def peak(talk: Talk) -> int:
    """The most memory that the server had so far, in KiB."""
    assert talk.process is not None
    status = Path(f"/proc/{talk.process.pid}/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(talk.process.pid)]))


def begin(talk: Talk) -> None:
    talk.client.reply()
    for line in (HELO, MAIL, RCPT):
        talk.client.command(line)


def after_a_message(home: QmailHome, blocks: int, **environment: str) -> tuple[int, bytes]:
    """The server's peak, in KiB, after a message of so many blocks; and the reply to it."""
    with stdio(home, home.environment(**environment)) as talk:
        begin(talk)
        assert talk.client.command("DATA") == [b"354 go ahead"]
        for _ in range(blocks):
            talk.client.send(BLOCK)
        (reply,) = talk.client.command(".")
        return peak(talk), reply
