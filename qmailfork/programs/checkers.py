"""The checker contract: README.smtpextfork's variables read into a list of programs, their ends into verdicts.

The environment comes in as a mapping of bytes. What makes no sense in it is passed over for the default and told in
`Contract.complaints`, so that a slip of the pen costs a log line and never a session.
"""

from qmailfork.programs.outcome import BROKEN, EXPIRED, SIGNALLED, UNSTARTED, Outcome
from qmailfork.programs.verdict import Checker, Verdict
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECONDS = 60.0  # a checker's time limit
TOTAL = 240.0  # the whole list's, below the five minutes that a client waits (RFC 5321 section 4.5.3.2.3)
CODES = {100: b"554", 101: b"454"}
ON_FAILURE = {b"pass": b"", b"defer": b"451", b"reject": b"554"}
_FAILED = {SIGNALLED: b"Signal", EXPIRED: b"Timeout", BROKEN: b"Protocol"}


def checker(text: bytes) -> Checker:
    """The checker that an entry of the list names. Raises ValueError where its scheme cannot read the rest."""
    scheme, colon, rest = text.strip().partition(b":")
    if colon and scheme in SCHEMES:
        if not rest.strip(b": "):
            raise ValueError(text)
        made = SCHEMES[scheme](rest)
    else:
        made = Checker(text)
    made.entry = text.strip()
    return made


def broken(text: bytes) -> Checker:
    """What stands for an entry that makes no sense: a checker that cannot be started, on trial where the entry is."""
    stands = Checker(text)
    stands.entry = text.strip()
    stands.shadow = stands.entry.startswith(b"shadow:")
    return stands


# A scheme's module is loaded when a list names it.


def _policy(rest: bytes) -> Checker:
    from qmailfork.programs.policy import PolicyServer  # noqa: PLC0415

    return PolicyServer(rest)


def _spp(rest: bytes) -> Checker:
    from qmailfork.programs.spp import Plugin  # noqa: PLC0415

    return Plugin(rest)


def _rcptcheck(rest: bytes) -> Checker:
    from qmailfork.programs.rcptcheck import RcptCheck  # noqa: PLC0415

    return RcptCheck(rest)


def _preload(rest: bytes) -> Checker:
    from qmailfork.programs.preload import Preloaded  # noqa: PLC0415

    return Preloaded(rest)


def _shadow(rest: bytes) -> Checker:
    shadowed = checker(rest)
    shadowed.shadow = True
    return shadowed


SCHEMES: "dict[bytes, Callable[[bytes], Checker]]" = {
    b"policy": _policy,
    b"spp": _spp,
    b"rcptcheck": _rcptcheck,
    b"preload": _preload,
    b"shadow": _shadow,
}


class Contract:
    """The checkers' part of one session's settings.

    `entries` in the order they are asked, `fence` the command that starts those that are started (empty: none);
    `codes` exit code → reply code; `seconds` each may take, `total` all of them for one recipient; `on_failure` the
    reply code for one that failed (empty: go on); `headers` and `own_words` say whether a checker's output may ask
    for them; `identifies` puts the decision's name into refusals; `quits` closes the connection after a refusal;
    `unset_relay_list` says that a relay client's list was forgotten; `complaints` are the values that make no sense.
    """

    __slots__ = (
        "codes", "complaints", "entries", "environment", "fence", "headers", "identifies", "on_failure", "own_words",
        "quits", "seconds", "total", "unset_relay_list",
    )  # fmt: skip

    def __init__(self, environment: "Mapping[bytes, bytes]") -> None:
        self.environment = environment
        self.complaints: list[bytes] = []
        relay = b"RELAYCLIENT" in environment
        self.entries = self._entries(b"SMTPEXTFORKR" if relay else b"SMTPEXTFORK")
        self.unset_relay_list = relay and b"SMTPEXTFORKR" not in environment and bool(environment.get(b"SMTPEXTFORK"))
        self.fence = tuple(environment.get(b"SMTPEXTFORKFENCE", b"").split())
        self.codes = self._codes()
        self.seconds = self.limit(b"SMTPEXTFORKTIMEOUT", SECONDS)
        self.total = self.limit(b"SMTPEXTFORKTOTAL", TOTAL)
        self.on_failure = self._on_failure()
        self.headers = bool(environment.get(b"SMTPEXTFORKHEADERS"))
        self.own_words = bool(environment.get(b"SMTPEXTFORKREPLY"))
        self.identifies = bool(environment.get(b"SMTPEXTFORKID"))
        self.quits = bool(environment.get(b"XF_QUITASAP"))

    def _entries(self, name: bytes) -> list[Checker]:
        """An entry that makes no sense stays, as a checker that failed: nobody is let past it."""
        entries = []
        for text in self.environment.get(name, b"").split(b","):
            if text.strip():
                try:
                    entries.append(checker(text))
                except ValueError:
                    self._complain(name, text.strip())
                    entries.append(broken(text))
        return entries

    def _complain(self, name: bytes, value: bytes) -> None:
        self.complaints.append(b"%b=%b" % (name, value))

    def _codes(self) -> dict[int, bytes]:
        codes = CODES
        for pair in self.environment.get(b"SMTPEXTFORKCODES", b"").split(b","):
            code, _, reply = (part.strip() for part in pair.partition(b"="))
            if code.isdigit() and len(code) <= 3 and 0 < int(code) <= 255 and replies.is_refusal(reply):
                codes = {**codes, int(code): reply}
            elif pair.strip():
                self._complain(b"SMTPEXTFORKCODES", pair.strip())
        return codes

    def limit(self, name: bytes, default: float) -> float:
        """The seconds that the variable `name` says."""
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

    @property
    def hears(self) -> bool:
        """Whether what a checker says on its descriptor 1 may matter to the reply or the message."""
        return self.headers or self.own_words

    def failure(self, outcome: Outcome, word: bytes = b"") -> Verdict:
        """The verdict on a checker that failed, by its `outcome` or by the log's `word` for it."""
        verdict = self.failed(word or _FAILED.get(outcome.how, b"Exec"))
        if outcome.how == UNSTARTED and outcome.code and self.fence:
            verdict.culprit = self.fence[0]
        return verdict

    def failed(self, word: bytes) -> Verdict:
        """The verdict on a checker that failed in the way that the log calls `word`."""
        return Verdict(self.on_failure, b"Extfork_" + word, b"Extfork_" + word)

    def reply(self, code: bytes, words: tuple[bytes, ...] = ()) -> bytes:
        """The refusal with this reply `code`: the checker's own `words`, the site's, or the patch's."""
        if any(words):
            return replies.lines(code, words)
        for name in (code + b"SMTPEXTFORK", b"SMTPEXTFORK" + code):
            text = self.environment.get(name, b"").replace(b"\r", b"").removesuffix(b"\n")
            if text:
                return replies.lines(code, tuple(text.split(b"\n")))
        return replies.lines(code, (replies.local_policy(code),))
