"""What a migration has come to so far: variables, control files, rules, checkers, and what has no equal."""

from typing import NamedTuple

ABSENT, DIFFERS = "no equal", "differs"
CHECKERS = ("dnsbl", "xf-spf", "vchkuser", "softfail")  # in the order in which they are asked


class Note(NamedTuple):
    """What became of `what`, which stands at `where`: of the kind ABSENT or DIFFERS, and in words."""

    kind: str
    where: str
    what: str
    words: str


class Plan:
    """Filled by the readers, and written by `written`.

    `env` holds for everyone; `filters` are variables of those rules alone whose clients are not let past; `control`
    has lines by file. `checkers` are names out of CHECKERS, `plugins` entries behind them that relay clients meet,
    too. `known` are the rules there were (None: deny). `white`, `black`, `relays` and `excepted` (from greylisting;
    with `only`, all others are) are addresses as tcprules has them; `blocked` are the lines that set RBLSMTPD, which
    counts where there is an `rblsmtpd`, whose refusals are to have the code `refusal`.
    """

    def __init__(self) -> None:
        self.env: dict[str, str] = {}
        self.filters: dict[str, str] = {}
        self.control: dict[str, list[str]] = {}
        self.checkers: set[str] = set()
        self.plugins: list[str] = []
        self.known: dict[str, dict[str, str] | None] = {}
        self.white: set[str] = set()
        self.black: set[str] = set()
        self.relays: set[str] = set()
        self.excepted: set[str] = set()
        self.only = self.named = self.unnamed_denied = self.closed = self.open = False
        self.rblsmtpd = self.refusal = ""
        self.blocked: list[str] = []
        self.notes: list[Note] = []

    def absent(self, where: str, what: str, words: str) -> None:
        """There is no equal."""
        self._note(Note(ABSENT, where, what, words))

    def differs(self, where: str, what: str, words: str) -> None:
        """There is one, and it is not quite the same."""
        self._note(Note(DIFFERS, where, what, words))

    def _note(self, note: Note) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def add(self, variable: str, entry: str) -> None:
        """One more entry of a list that is separated by blanks."""
        found = self.env.get(variable, "").split()
        if entry not in found:
            self.env[variable] = " ".join([*found, entry])

    def line(self, control: str, text: str) -> None:
        """One more line of a control file."""
        found = self.control.setdefault(control, [])
        if text not in found:
            found.append(text)

    def settle(self) -> None:
        """Once all is read: what hangs on more than one source."""
        if self.refusal and self.checkers == {"dnsbl"}:
            self.env["SMTPEXTFORKCODES"] = f"100={self.refusal}"
        elif self.refusal:
            self.differs(
                self.rblsmtpd, f"reply {self.refusal}", "who is listed hears 554: other checkers share its code"
            )
        for control in {"badmailfrom", "badrcptto"} & self.control.keys() if self.white else ():
            self.differs(f"control/{control}", "whitelists", "it holds for clients that they let past the filters, too")
        for where in self.blocked if self.rblsmtpd else ():
            self.differs(where, "RBLSMTPD", "the connection is closed, without this text")
        if self.unnamed_denied and any(
            rule is not None and address[:1].isdigit() for address, rule in self.known.items()
        ):
            self.differs("reject-empty-rdns", "rules for addresses", "a client with such a rule needs no name")
