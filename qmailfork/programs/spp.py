"""qmail-spp plugins (qmail-spp.sourceforge.net/doc, qmail-spp.c): `spp:PATH`, or `spp::COMMAND` for /bin/sh.

A plugin says what is to be done by lines on its descriptor 1, each one letter and its text; VERBS are the letters.
After one that decides nothing more of it is read. Its exit code counts only as 120: it could not be executed.
"""

from qmailfork.programs.outcome import EXITED
from qmailfork.programs.verdict import Checker, Envelope, Verdict
from qmailfork.smtp import address, commands, replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.programs.checkers import Contract
    from qmailfork.programs.outcome import Outcome
    from qmailfork.programs.verdict import Variables

UNEXECUTED = 120
LONGEST = 65535  # octets of output that surely were all
LATER = {b"M": commands.MAIL, b"R": commands.RCPT, b"D": commands.DATA}


class Plugin(Checker):
    """A plugin for RCPT."""

    plugin = told_local = True

    def __init__(self, rest: bytes) -> None:
        super().__init__(rest.removeprefix(b":"))
        if rest.startswith(b":"):
            self.argv = [b"/bin/sh", b"-c", rest[1:]]

    def environment(self, envelope: Envelope) -> "Variables":
        """The variables of qmail-spp beside the plain contract's."""
        variables: Variables = {
            **super().environment(envelope),
            b"SMTPHELOHOST": envelope.helo,
            b"SMTPMAILFROM": envelope.sender,
            b"SMTPRCPTTO": envelope.recipient,
            b"SMTPRCPTCOUNT": b"%d" % envelope.accepted,
            b"SMTPRCPTCOUNTALL": b"%d" % envelope.tried,
            b"SMTPRCPTHOSTSOK": b"1" if envelope.local else b"0",
        }
        if envelope.login is not None:
            variables[b"SMTPAUTHUSER"], variables[b"SMTPAUTHMETHOD"] = envelope.login
        return variables

    def judge(self, contract: "Contract", outcome: "Outcome") -> Verdict:
        """What its output means."""
        if outcome.how != EXITED or outcome.code == UNEXECUTED:
            return contract.failure(outcome)
        if len(outcome.output) > LONGEST:
            return contract.failure(outcome, b"Protocol")
        verdict = Verdict()
        for line in outcome.output.split(b"\n"):
            verb = VERBS.get(line[:1])
            if verb and verb(verdict, line[1:]):
                break
        verdict.condition = b"Extfork_" + (verdict.code or b"Drop")
        return verdict


def _accept(verdict: Verdict, text: bytes) -> bool:
    verdict.ends = True
    return True


def _accept_for_good(verdict: Verdict, text: bytes) -> bool:
    verdict.retires = True
    return _accept(verdict, text)


def _refuse(verdict: Verdict, text: bytes) -> bool:
    """A text without a reply code for a refusal would leave the client guessing: that is a 451."""
    code, words = replies.refusal(text) or (b"451", replies.plain(text))
    verdict.code, verdict.words = code, (words,)
    return True


def _refuse_and_close(verdict: Verdict, text: bytes) -> bool:
    verdict.closes = True
    return _refuse(verdict, text)


def _drop(verdict: Verdict, text: bytes) -> bool:
    verdict.code = b"421"
    verdict.closes = verdict.silent = True
    return True


def _later(verdict: Verdict, text: bytes) -> bool:
    verb = LATER.get(text[:1])
    if verb:
        code, words = replies.refusal(text[1:]) or (b"451", replies.plain(text[1:]))
        verdict.held = {**verdict.held, verb: replies.lines(code, (words,))}
    return False


def _header(verdict: Verdict, text: bytes) -> bool:
    verdict.headers += (text,)
    return False


def _say(verdict: Verdict, text: bytes) -> bool:
    verdict.said += ((text[:3], replies.plain(text[4:])),)
    return False


def _change(verdict: Verdict, text: bytes) -> bool:
    """Another address, where it is one."""
    if 0 < len(text) <= address.LONGEST and not any(octet < 33 or octet == 127 for octet in text):
        verdict.recipient = text
    else:
        verdict.remarks += ((b"Extfork_Address", text),)
    return False


def _set(verdict: Verdict, text: bytes) -> bool:
    name, equals, value = text.partition(b"=")
    if name and equals and b"\0" not in text:
        verdict.variables = {**verdict.variables, name: value}
    return False


def _unset(verdict: Verdict, text: bytes) -> bool:
    if text and b"=" not in text and b"\0" not in text:
        verdict.variables = {**verdict.variables, text: None}
    return False


VERBS: "dict[bytes, Callable[[Verdict, bytes], bool]]" = {
    b"A": _accept_for_good,
    b"O": _accept,  # what it skips in qmail-smtpd has been done already
    b"N": _accept,
    b"E": _refuse,
    b"R": _refuse_and_close,
    b"D": _drop,
    b"L": _later,
    b"H": _header,
    b"P": _say,
    b"C": _change,
    b"S": _set,
    b"U": _unset,
}
