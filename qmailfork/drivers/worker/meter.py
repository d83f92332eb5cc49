"""Between a conversation and its driver: what passes is counted, and nothing of it changed."""

from qmailfork.conversation.requests import Consult, Entrust, Exchange, Finish, Note, Run, StartTls, Tunnel, Wait
from qmailfork.programs.journal import Event
from qmailfork.system.tallies import ACCEPTED, DECISIONS, DEFERRED, QUEUE, REFUSED, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from qmailfork.conversation.requests import Asking, Ending, Request


def metered(conversation: "Asking[Ending]", page: Page) -> "Asking[Ending]":
    """The `conversation`, counted on this `page`."""
    answer: Any = None
    while True:
        try:
            request = conversation.send(answer)
        except StopIteration as end:
            _replied(page, end.value.reply)
            return end.value  # type: ignore[no-any-return]  # the conversation's own Ending
        _asked(page, request)
        answer = yield request
        _answered(page, request, answer)


def _asked(page: Page, request: "Request") -> None:
    if isinstance(request, Exchange | Wait | StartTls | Tunnel):
        _replied(page, request.reply)
    elif isinstance(request, Note):
        _noted(page, request.event)


def _answered(page: Page, request: "Request", answer: "Any") -> None:
    if isinstance(request, Run) and not isinstance(request, Entrust):  # which is of no list
        page.ended(request.argv[0], answer)
    elif isinstance(request, Consult):
        page.ended(_address(request.address), answer)
    elif isinstance(request, Finish):
        page.ended(QUEUE, answer[0])


def _replied(page: Page, replies: bytes) -> None:
    """Count each reply by its last line."""
    for line in replies.split(b"\r\n"):
        if line[3:4] == b" " and line[:3].isdigit():
            page.replied(int(line[:3]))


def _noted(page: Page, event: Event) -> None:
    """Count the decision about a recipient."""
    if event.number and event.condition.startswith((b"Accept::", b"Reject::")):
        decision = REFUSED if event.reply.startswith(b"5") else DEFERRED
        if event.condition.startswith(b"Accept::"):
            decision = ACCEPTED
        page.decided(DECISIONS.index(decision))


def _address(address: bytes | tuple[bytes, int]) -> bytes:
    return address if isinstance(address, bytes) else b"%b:%d" % address
