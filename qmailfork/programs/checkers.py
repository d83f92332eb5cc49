"""The checker contract: README.smtpextfork's variables read into a list of programs, their ends into verdicts.

The environment comes in as a mapping of bytes. What makes no sense in it is passed over for the default and told in
`Contract.complaints`, so that a slip of the pen costs a log line and never a session.
"""

from qmailfork.programs.outcome import EXITED, EXPIRED, UNSTARTED, Outcome
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 60.0  # a checker's time limit
CODES = {100: b"554", 101: b"454"}
ON_FAILURE = {b"pass": b"", b"defer": b"451", b"reject": b"554"}
_FAILED = {UNSTARTED: b"Exec", EXPIRED: b"Timeout"}


class Entry:
    """One checker of the list: `argv` as it is started, `program` as the log names it."""

    __slots__ = ("argv", "program")

    def __init__(self, text: bytes) -> None:
        self.argv = text.split()
        self.program = self.argv[0]


class Verdict:
    """What one checker's end means.

    `code` is the reply code of a refusal, empty to go on; `failed` names a checker that failed (Exec, Signal,
    Timeout), empty for one that came to its end; `condition` is the log's word for the refusal.
    """

    __slots__ = ("code", "condition", "failed")

    def __init__(self, code: bytes, condition: bytes, failed: bytes = b"") -> None:
        self.code = code
        self.condition = condition
        self.failed = failed


class Contract:
    """The checkers' part of one session's settings.

    `entries` in the order they run; `codes` exit code → reply code; `seconds` each may take; `on_failure` the reply
    code for one that failed (empty: go on); `quits` closes the connection after a refusal; `unset_relay_list` says
    that a relay client's list was forgotten; `complaints` are the values that were passed over.
    """

    __slots__ = ("codes", "complaints", "entries", "environment", "on_failure", "quits", "seconds", "unset_relay_list")

    def __init__(self, environment: "Mapping[bytes, bytes]") -> None:
        self.environment = environment
        self.complaints: list[bytes] = []
        relay = b"RELAYCLIENT" in environment
        listed = environment.get(b"SMTPEXTFORKR" if relay else b"SMTPEXTFORK", b"")
        self.entries = [Entry(text) for text in listed.split(b",") if text.strip()]
        self.unset_relay_list = relay and b"SMTPEXTFORKR" not in environment and bool(environment.get(b"SMTPEXTFORK"))
        self.codes = self._codes()
        self.seconds = self._seconds(b"SMTPEXTFORKTIMEOUT", SECONDS)
        self.on_failure = self._on_failure()
        self.quits = bool(environment.get(b"XF_QUITASAP"))

    def _complain(self, name: bytes, value: bytes) -> None:
        self.complaints.append(b"%b=%b" % (name, value))

    def _codes(self) -> dict[int, bytes]:
        codes = CODES
        for pair in self.environment.get(b"SMTPEXTFORKCODES", b"").split(b","):
            code, _, reply = (part.strip() for part in pair.partition(b"="))
            if code.isdigit() and len(code) <= 3 and 0 < int(code) <= 255 and _is_refusal(reply):
                codes = {**codes, int(code): reply}
            elif pair.strip():
                self._complain(b"SMTPEXTFORKCODES", pair.strip())
        return codes

    def _seconds(self, name: bytes, default: float) -> float:
        value = self.environment.get(name, b"").strip()
        if not value:
            return default
        seconds = float(value) if value.replace(b".", b"", 1).isdigit() and len(value) <= 9 else 0.0
        if seconds > 0:
            return seconds
        self._complain(name, value)
        return default

    def _on_failure(self) -> bytes:
        value = self.environment.get(b"SMTPEXTFORKFAIL", b"").strip() or b"pass"
        if value not in ON_FAILURE:
            self._complain(b"SMTPEXTFORKFAIL", value)
            value = b"pass"
        return ON_FAILURE[value]

    def judge(self, outcome: Outcome) -> Verdict:
        """The verdict on one checker that ended with `outcome`."""
        if outcome.how == EXITED:
            return Verdict(self.codes.get(outcome.code, b""), b"Extfork_%d" % outcome.code)
        failed = b"Extfork_" + _FAILED.get(outcome.how, b"Signal")
        return Verdict(self.on_failure, failed, failed)

    def reply(self, code: bytes) -> bytes:
        """The refusal with this reply `code`: the site's own words, or the patch's."""
        for name in (code + b"SMTPEXTFORK", b"SMTPEXTFORK" + code):
            text = self.environment.get(name, b"").replace(b"\r", b"").removesuffix(b"\n")
            if text:
                return replies.lines(code, tuple(text.split(b"\n")))
        return replies.lines(code, (replies.local_policy(code),))


def envelope(sender: bytes, helo: bytes, recipient: bytes) -> dict[bytes, bytes]:
    """The three variables that a checker finds beside the session's own."""
    return {b"REMOTEMF": sender, b"REMOTEHELO": helo, b"REMOTERCPT": recipient}


def _is_refusal(reply: bytes) -> bool:
    return len(reply) == 3 and reply.isdigit() and reply[:1] in (b"4", b"5")
