"""What an event of a log means: whose turn it was, and whether it was a yes, a no, or a not yet."""

import re
from functools import lru_cache

from qmailfork.programs import queue
from qmailfork.programs.checkers import Contract
from qmailfork.programs.journal import Event
from qmailfork.programs.outcome import EXITED, Outcome

ACCEPTED, REFUSED, DEFERRED = "accepted", "refused", "deferred"  # a recipient, or a command before any
QUEUED, MESSAGE_REFUSED, MESSAGE_DEFERRED = "queued", "message refused", "message deferred"
SHADOWED, FAILED, OTHER = "shadowed", "failed", "other"
_DATA = {ACCEPTED: QUEUED, REFUSED: MESSAGE_REFUSED, DEFERRED: MESSAGE_DEFERRED}
_TEMPORARY = re.compile(rb"Toomany_Rcptto|Gr[ea]y_?list|Temporary|Wrapped_4|Queue_[A-Z]", re.IGNORECASE)
_EXTFORK = re.compile(rb"Extfork_(\d+)$")
_QUEUE = re.compile(rb"Queue_(\d+)$")
KNOWN = 10_000  # conditions


class Verdicts:
    """Reads verdicts off events. Lines of text do not say the reply: `environment` has the variables that decide
    about it, SMTPEXTFORKCODES and SMTPEXTFORKFAIL.
    """

    def __init__(self, environment: dict[bytes, bytes]) -> None:
        self._contract = Contract(environment)
        self._known: dict[tuple[bytes, bytes], str] = {}

    def of(self, event: Event) -> str:
        """One of the words above."""
        reply = event.reply[:1]
        known = self._known.get((event.condition, reply))
        if known is not None:
            return known
        if b"::AUTH::" in event.condition:
            named = event.recipient or event.condition.endswith(b"missing")
            return self._of(event.condition, reply) if named else OTHER  # somebody said who he is
        if len(self._known) >= KNOWN:
            self._known.clear()
        known = self._known[event.condition, reply] = self._of(event.condition, reply)
        return known

    def _of(self, condition: bytes, reply: bytes) -> str:
        refused = reply and condition.startswith(b"Reject")
        return _of_reply(condition, reply) if refused else self._of_condition(condition)

    def _of_condition(self, condition: bytes) -> str:
        action, kind, what = condition.split(b"::", 2)
        if action == b"Reject":
            return _of_reply(condition, self._code(kind, what))
        if action in (b"Defer", b"Deferred"):
            return DEFERRED
        if action == b"Accept":
            return QUEUED if kind == b"DATA" else OTHER if kind == b"TLS" or what == b"Sender" else ACCEPTED
        if action == b"Shadow":
            return SHADOWED
        return FAILED if action == b"Error" and what.startswith(b"Extfork_") and kind == b"RCPT" else OTHER

    def _code(self, kind: bytes, what: bytes) -> bytes:
        """The reply code of a refusal, as far as its condition tells."""
        match = _EXTFORK.match(what)
        if match:
            number = int(match[1])
            return self._contract.codes.get(number, match[1] if 400 <= number < 600 else b"554")
        if what.startswith(b"Extfork_"):
            return self._contract.on_failure or b"451"
        match = _QUEUE.match(what)
        if match and kind == b"DATA":
            return queue.refusal(Outcome(EXITED, int(match[1])), True) or b"451"
        return b"451" if _TEMPORARY.search(what) else b"554"


def _of_reply(condition: bytes, reply: bytes) -> str:
    verdict = DEFERRED if reply.startswith(b"4") else REFUSED
    return _DATA[verdict] if b"::DATA::" in condition else verdict


def decider(event: Event) -> bytes:
    """Who decided: the checker where it was one, else what of the server, as spamcontrol calls it."""
    name, by_checker = _decider(event.condition)
    return event.info if event.info and by_checker else name


@lru_cache(KNOWN)
def _decider(condition: bytes) -> tuple[bytes, bool]:
    kind, _, what = condition.partition(b"::")[2].partition(b"::")
    return kind + b"::" + what, what.startswith(b"Extfork_")
