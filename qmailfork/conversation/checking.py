"""The checkers' turn: the list is asked about one recipient, in order, until one refuses (qmailfork-checker(7))."""

from qmailfork.conversation.requests import Consult, Run, RunWarm
from qmailfork.conversation.session import Session
from qmailfork.conversation.settings import MOST_SECONDS
from qmailfork.programs import events
from qmailfork.programs.verdict import PERMIT, REJECT, Checker, Envelope, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.conversation.requests import Asking
    from qmailfork.programs.journal import Check, Event
    from qmailfork.programs.verdict import Variables

    Refusal = Callable[[bytes, bytes, bytes, bytes, list[Check]], Event]

MOST_HEADERS = 100  # fields above one message


class Hangup(Exception):
    """The connection is to be closed after a reply that is owed already."""


class Candidate:
    """A recipient that the site's own lists take, on its way past the checkers.

    `envelope` is what they are told, `suffix` RELAYCLIENT's; `checks` how they ended; `headers` and `said` what they
    want above the message and before the reply. `left` are the seconds that the rest of the list has; `waiting` the
    refusals that depend on what the others say. `listed` is the log's condition where a list of its own has it,
    `facts` what programs find of RCPT's parameters.
    """

    __slots__ = ("checks", "envelope", "facts", "headers", "left", "listed", "said", "suffix", "waiting")

    def __init__(self, envelope: Envelope, suffix: bytes, seconds: float) -> None:
        self.envelope = envelope
        self.suffix = suffix
        self.left = seconds
        self.listed = b""
        self.facts: Variables = {}
        self.checks: list[Check] = []
        self.headers: list[bytes] = []
        self.said: list[tuple[bytes, bytes]] = []
        self.waiting: dict[str, tuple[Checker, Verdict]] = {}

    @property
    def routed(self) -> bytes:
        """The recipient as it goes into the queue."""
        return self.envelope.recipient + self.suffix


def ask(session: Session, candidate: Candidate) -> "Asking[bytes]":
    """Ask the list until one refuses: the reply, or empty where none does. Raises Hangup."""
    for checker in session.settings.checkers.entries:
        if checker.plugin and session.retired:
            continue
        verdict = yield from _verdict(session, candidate, checker)
        refusal = yield from _heed(session, candidate, checker, verdict)
        if refusal:
            return refusal
        if verdict.ends and not checker.shadow:
            break
    if PERMIT in candidate.waiting:
        return (yield from _refuse(session, candidate, *candidate.waiting[PERMIT]))
    return b""


def _verdict(session: Session, candidate: Candidate, checker: Checker) -> "Asking[Verdict]":
    """What `checker` says, where the session does not know it yet and the list's time is not over."""
    if checker in session.lasting:
        outcome, verdict = session.lasting[checker]
        candidate.checks.append((checker, outcome))
        return verdict
    contract = session.settings.checkers
    if candidate.left <= 0:
        verdict = contract.failed(b"Total")
        verdict.ends = True
        return verdict
    outcome = yield _question(session, candidate, checker)
    candidate.left -= outcome.milliseconds / 1000
    candidate.checks.append((checker, outcome))
    verdict = checker.judge(contract, outcome)
    if verdict.lasting and not verdict.failed:
        session.lasting[checker] = outcome.again(), verdict
    return verdict


def _question(session: Session, candidate: Candidate, checker: Checker) -> Run | Consult:
    contract = session.settings.checkers
    seconds = min(contract.seconds, candidate.left, MOST_SECONDS)
    if checker.resident:
        question = checker.question(candidate.envelope)
        return Consult(checker.address, question, checker.end, seconds)
    environment = {**session.variables, **session.facts, **candidate.facts, **checker.environment(candidate.envelope)}
    run = RunWarm if checker.warm else Run
    return run(checker.argv, environment, seconds, checker.captured, contract.fence)


def _heed(session: Session, candidate: Candidate, checker: Checker, verdict: Verdict) -> "Asking[bytes]":
    """Do as the `verdict` says: the reply of a refusal, empty to go on."""
    for condition, text in verdict.remarks:
        yield from _remark(session, candidate, checker, condition, text)
    if verdict.failed:
        program = verdict.culprit or checker.program
        failure = events.checker_failed(candidate.routed, program, verdict.failed, candidate.checks)
        yield session.note(failure)
    if checker.shadow:
        if verdict.code:
            yield from _note(session, candidate, checker, verdict, events.shadowed)
        return b""
    if verdict.waits:
        candidate.waiting.setdefault(verdict.waits, (checker, verdict))
        return b""
    yield from _take_effect(session, candidate, checker, verdict)
    if verdict.code.startswith(b"5") and REJECT in candidate.waiting:
        checker, verdict = candidate.waiting[REJECT]
    return (yield from _refuse(session, candidate, checker, verdict)) if verdict.code else b""


def _take_effect(session: Session, candidate: Candidate, checker: Checker, verdict: Verdict) -> "Asking[None]":
    """All that a verdict says beside yes and no."""
    candidate.said += verdict.said
    if verdict.recipient is not None:
        candidate.envelope.recipient = verdict.recipient
    if verdict.variables:
        session.variables = {**session.variables, **verdict.variables}
    if verdict.held:
        session.held = {**session.held, **verdict.held}
    session.retired |= verdict.retires
    if verdict.headers:
        from qmailfork.smtp import header  # noqa: PLC0415  # few lists ask for any

        for text in verdict.headers:
            field = header.field(text)
            if field:
                candidate.headers.append(field)
            else:
                yield from _remark(session, candidate, checker, b"Extfork_Header", text)


def _remark(session: Session, candidate: Candidate, checker: Checker, condition: bytes, text: bytes) -> "Asking[None]":
    yield session.note(events.remark(candidate.routed, checker.program, condition, text))


def _note(
    session: Session, candidate: Candidate, checker: Checker, verdict: Verdict, event: "Refusal"
) -> "Asking[bytes]":
    """Log the refusal that a verdict stands for, as this kind of `event`: its reply."""
    reply = session.settings.checkers.reply(verdict.code, verdict.words)
    yield session.note(event(candidate.routed, checker.program, verdict.condition, reply, candidate.checks))
    return reply


def _refuse(session: Session, candidate: Candidate, checker: Checker, verdict: Verdict) -> "Asking[bytes]":
    """The refusal, logged. Raises Hangup."""
    reply = yield from _note(session, candidate, checker, verdict, events.checker_refused)
    reply = announced(candidate, reply)
    if session.settings.checkers.quits or verdict.closes or verdict.code == b"421":
        if not verdict.silent:
            session.owed.append(session.signed(reply))
        yield from session.say(4, b"force closing connection")
        raise Hangup
    return reply


def announced(candidate: Candidate, reply: bytes) -> bytes:
    """`reply` with what the checkers want said before it, as far as the codes agree (RFC 5321 section 4.2.1)."""
    code = reply[:3]
    return b"".join([b"%b-%b\r\n" % (code, text) for said, text in candidate.said if said == code]) + reply


def settle(session: Session, candidate: Candidate) -> "Asking[None]":
    """The recipient is accepted: into the envelope, and its fields above the message."""
    session.recipients.append(candidate.routed)
    new = [field for field in candidate.headers if field not in session.headers]
    room = MOST_HEADERS - len(session.headers)
    if len(new) > room:
        too_many = b"more than %d header fields" % MOST_HEADERS
        yield session.note(events.remark(candidate.routed, b"", b"Extfork_Header", too_many))
    session.headers += new[:room]
    relay = session.settings.relay_suffix is not None
    accepted = events.recipient_accepted(candidate.routed, relay, candidate.checks)
    if candidate.listed:
        accepted.condition = candidate.listed
    yield session.note(accepted)
