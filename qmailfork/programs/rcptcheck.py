"""RCPTCHECK programs (Jay Soffian's patch, as qmail-smtpd.c of sagredo-dev/qmail has it): `rcptcheck:PATH`.

The program finds SENDER, RECIPIENT and HELO, writes to the log, ends with a code of CODES, and may write a reply of
its own to descriptor 4. Under the patch it is spared relay clients; here the list that names it decides.
"""

from qmailfork.programs.outcome import EXITED
from qmailfork.programs.verdict import Checker, Envelope, Verdict
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.programs.checkers import Contract
    from qmailfork.programs.outcome import Outcome
    from qmailfork.programs.verdict import Variables

CODES = {
    100: (b"550", b"sorry, no mailbox here by that name. (#5.1.1)"),
    111: (b"421", b"unable to verify recipient (#4.3.0)"),
    113: (b"421", b"you have exceeded your messaging limits (#4.3.0)"),
}
UNVERIFIED, UNEXECUTED = 111, 120
NO_REPLY = (b"451", b"temporary problem (#4.4.2)")


class RcptCheck(Checker):
    """A program by that contract."""

    captured = 4
    told_local = True

    def environment(self, envelope: Envelope) -> "Variables":
        """The patch's variables beside the plain contract's."""
        return {
            **super().environment(envelope),
            b"SENDER": envelope.sender,
            b"RECIPIENT": envelope.recipient,
            b"HELO": envelope.helo,
            b"USE_FD4": b"1",
            b"RCPTHOSTS": b"1" if envelope.local else None,
            b"RCPTFOUND": None,
        }

    def judge(self, contract: "Contract", outcome: "Outcome") -> Verdict:
        """What its code, or its reply on descriptor 4, means."""
        if outcome.how != EXITED or outcome.code == UNEXECUTED:
            return contract.failure(outcome)
        code, text = CODES.get(outcome.code, (b"", b""))
        condition = b"%d" % outcome.code
        own = outcome.output.strip(b"\r\n").partition(b"\n")[0]
        if own and outcome.code != UNVERIFIED:
            code, text = replies.refusal(own) or NO_REPLY
            condition = code
        verdict = Verdict(code, b"Extfork_" + condition)
        verdict.words = (text,)
        return verdict
