"""One session on either of our drivers, with a process of its own: for what a kept listener cannot be used for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from tests.servers import Talk, serve
from tests.smtpclient import Client
from tests.support import QmailHome, qmailfork, smtpd
from tests.ucspi import Server, listening

Open = Callable[[], AbstractContextManager[Talk]]
KINDS = ("stdio", "listener")


@contextmanager
def serving(
    kind: str, home: QmailHome, env: dict[str, str], program: Sequence[str] = (), by: Sequence[str] = ()
) -> Iterator[Open]:
    """What opens sessions of this kind, in front of `program` where one is given; `by` is what starts the server."""
    if kind == "stdio":
        yield lambda: serve([*by, *smtpd(*program)], home, env)
        return
    argv = qmailfork("listen", "-1", "-H", "-R", "-l", "mail.joedomain.net", "--workers", "1", "127.0.0.1", "0")
    kept = {name: value for name, value in env.items() if not name.startswith("TCP")}
    with listening([*by, *argv, *program], kept, home.path / "listener.log", "127.0.0.1") as server:
        yield lambda: connected(server)


@contextmanager
def connected(server: Server) -> Iterator[Talk]:
    with Client.connect(server.host, server.port) as client:
        yield Talk(client, server.log)


@contextmanager
def session(kind: str, home: QmailHome, env: dict[str, str], program: Sequence[str] = ()) -> Iterator[Talk]:
    """One session, greeted."""
    with serving(kind, home, env, program) as opened, opened() as talk:
        assert talk.client.reply()[0].startswith(b"220 ")
        yield talk


def begin(talk: Talk, sender: str = "a@example.net") -> None:
    """EHLO and MAIL."""
    assert talk.client.command("EHLO foo")[-1].startswith(b"250 ")
    assert talk.client.command(f"MAIL FROM:<{sender}>")[-1].startswith(b"250")


def rcpt(talk: Talk, local: str) -> bytes:
    """The last line of the reply to this recipient in joedomain.net."""
    return talk.client.command(f"RCPT TO:<{local}@joedomain.net>")[-1]


def send(talk: Talk, text: bytes = b"Subject: x\r\n\r\nhello\r\n") -> bytes:
    """The reply to DATA and this message."""
    assert talk.client.command("DATA")[0].startswith(b"354")
    talk.client.send(text + b".\r\n")
    return talk.client.reply()[-1]
