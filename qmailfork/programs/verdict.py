"""What a checker is told of a recipient, and what its answer means."""

from qmailfork.programs.outcome import EXITED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.programs.checkers import Contract
    from qmailfork.programs.outcome import Outcome
    from qmailfork.programs.peer import Peer

    Variables = dict[bytes, bytes | None]  # None takes a variable away


class Envelope:
    """The recipient at hand and what led to it.

    `peer` is the client; `sender`, `helo`, `recipient` as qmail's addrparse reads them; `extended` after EHLO;
    `size` as MAIL announced it (0: not at all); `accepted` recipients so far and `tried` ones, this included;
    `local` where rcpthosts has its domain, as far as anybody is told so; `message` tells this transaction from every
    other one on this host; `login` is who the client has proved to be and by what, None before.
    """

    __slots__ = (
        "accepted", "extended", "helo", "local", "login", "message", "peer", "recipient", "sender", "size", "tried",
    )  # fmt: skip

    peer: "Peer"
    sender: bytes
    helo: bytes
    recipient: bytes
    extended: bool
    size: int
    accepted: int
    tried: int
    local: bool
    message: bytes
    login: tuple[bytes, bytes] | None


class Verdict:
    """What one checker's end or answer means. Most of it is what only one scheme can say.

    `code` is the reply code of a refusal, empty to go on; `words` its text, empty for the site's own; `condition` the
    log's word for it; `failed` names what went wrong with a checker that failed, empty for one that came to its end.
    `ends`: none of the rest of the list is asked; `closes`: the connection ends with the refusal, `silent`: without a
    word; `lasting`: holds for the rest of the session; `waits` (PERMIT, REJECT): the code stands only where the
    recipient would be accepted, or refused, otherwise. `culprit` is what could not be started in the checker's place.
    `headers` go above the message, `said` (code, text) before the reply, `remarks` (condition, text) into the log.
    `recipient` replaces the address, `variables` change what later programs see, `held` (verb → reply) refuses later
    commands, `retires`: no plugin of this kind is asked any more.
    """

    words: tuple[bytes, ...] = ()
    ends = closes = silent = lasting = retires = False
    waits = ""
    culprit = b""
    headers: tuple[bytes, ...] = ()
    said: tuple[tuple[bytes, bytes], ...] = ()
    remarks: tuple[tuple[bytes, bytes], ...] = ()
    recipient: bytes | None = None
    variables: "Variables" = {}  # noqa: RUF012  # replaced, never changed
    held: dict[bytes, bytes] = {}  # noqa: RUF012

    def __init__(self, code: bytes = b"", condition: bytes = b"", failed: bytes = b"") -> None:
        self.code = code
        self.condition = condition
        self.failed = failed


PERMIT, REJECT = "permit", "reject"


class Checker:
    """One checker of the list by the plain contract (README.smtpextfork): a program and its exit code.

    `entry` is how the list names it and `program` how the log does, `argv` how it is started, `captured` which of its
    descriptors is kept. The other kinds are of this shape: a `resident` one is asked a question at its `address` and
    answers up to `end`, one that may be kept `warm` is imported once, a `plugin` may retire its kind, a `shadow` is
    asked but never heeded; one is `told_local`, whether rcpthosts has the recipient's domain.
    """

    resident = warm = plugin = shadow = told_local = False
    captured = 1
    entry = b""
    address: bytes | tuple[bytes, int] = b""
    end = b""

    def __init__(self, text: bytes) -> None:
        self.argv = text.split()
        self.program = self.argv[0]

    def environment(self, envelope: Envelope) -> "Variables":
        """What it finds in its environment beside the session's own."""
        return {b"REMOTEMF": envelope.sender, b"REMOTEHELO": envelope.helo, b"REMOTERCPT": envelope.recipient}

    def question(self, envelope: Envelope) -> bytes:
        """What a resident one is asked about `envelope`."""
        return b""

    def judge(self, contract: "Contract", outcome: "Outcome") -> Verdict:
        """What its end means."""
        if outcome.how != EXITED:
            return contract.failure(outcome)
        verdict = Verdict(contract.codes.get(outcome.code, b""), b"Extfork_%d" % outcome.code)
        if outcome.output and (contract.hears or b"Cache:" in outcome.output):
            from qmailfork.programs import output  # noqa: PLC0415  # most checkers say nothing

            output.read(contract, outcome.output, verdict)
        return verdict
