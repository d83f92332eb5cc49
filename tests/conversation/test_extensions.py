"""What extensions tell the queue (conversation/extensions.py)."""

from qmailfork.conversation.dialogue import converse
from qmailfork.conversation.requests import Exchange, Open
from tests.conversation.scripted import PEER, site


def queue_environment(said: list[bytes], *extensions: bytes) -> dict[bytes, bytes | None]:
    """What the queue's environment has beside the session's."""
    conversation = converse(site(extensions=frozenset(extensions)), PEER)
    arrivals = iter([b"\r\n".join([*said, b"RCPT TO:<joe@joedomain.net>", b"DATA", b""])])
    answer: object = None
    while True:
        request = conversation.send(answer)
        if isinstance(request, Open):
            return request.environment
        answer = next(arrivals) if isinstance(request, Exchange) else None


def test_the_queue_is_told_of_the_message() -> None:
    mail = b"MAIL FROM:<a@example.net> RET=FULL ENVID=x SMTPUTF8"
    assert queue_environment([mail], b"dsn", b"smtputf8") == {
        b"REMOTERET": b"FULL", b"REMOTEENVID": b"x", b"REMOTEUTF8": b"1",
    }  # fmt: skip
    assert queue_environment([mail]) == {}


def test_each_message_has_its_own() -> None:
    said = [b"MAIL FROM:<a@example.net> RET=FULL ENVID=x", b"MAIL FROM:<a@example.net>"]
    assert queue_environment(said, b"dsn") == {b"REMOTERET": None, b"REMOTEENVID": None}
