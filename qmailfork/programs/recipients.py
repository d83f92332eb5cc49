"""control/recipients: where it stands which recipients there are (spamcontrol's RECIPIENTS, README.recipients).

A line names a domain and a cdb in fastforward's form, as qmail-recipients(8) makes it: `domain:cdb` for it and what is
below it, `@domain:cdb` for it alone, `*:cdb` for all; `cdb` for those that no line before has named. `!domain` takes
every recipient of it, `!*` those of all domains that no line before has named. `domain|program` asks a program that
has checkpassword's interface. Who is found nowhere does not exist.
"""

from qmailfork.programs.addresses import is_below
from qmailfork.smtp import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALL, PASSED, CDB, PROGRAM = "all", "passed", "cdb", "program"
LISTED = {
    ALL: b"Accept::RCPT::Recipients_Wild", PASSED: b"Accept::RCPT::Rcpthosts_Rcptto",
    CDB: b"Accept::RCPT::Recipients_Cdb", PROGRAM: b"Accept::RCPT::Recipients_Pam",
}  # fmt: skip
BREAK = b"-"  # before an address's extension


class Rule:
    """A line: the `domain` that it is for (empty: those that no line before has named), its `kind`, and its `source`, a
    cdb, or the `argv` of a program.
    """

    __slots__ = ("argv", "domain", "kind", "source")

    def __init__(self, line: bytes) -> None:
        self.source = b""
        self.argv: list[bytes] = []
        if line.startswith(b"!"):
            self.domain = line[1:].lower()
            self.kind = PASSED if self.domain == b"*" else ALL
            return
        at = min((found for found in (line.find(b":"), line.find(b"|")) if found >= 0), default=-1)
        self.domain = line[: max(at, 0)].lower()
        self.kind = PROGRAM if at >= 0 and line[at : at + 1] == b"|" else CDB
        self.source = line[at + 1 :].strip()
        self.argv = self.source.split() if self.kind == PROGRAM else []

    def names(self, domain: bytes) -> bool:
        """Whether the line is for this `domain` by its name."""
        if self.kind == ALL or self.domain.startswith(b"@"):
            return domain == self.domain.removeprefix(b"@")
        return self.domain not in (b"", b"*") and is_below(domain, self.domain)


class Recipients:
    """The `rules` of control/recipients, in their order."""

    __slots__ = ("rules",)

    def __init__(self, lines: "Iterable[bytes]") -> None:
        self.rules = [Rule(line) for line in lines]

    def sources(self, recipient: bytes) -> "Iterable[Rule]":
        """The rules that are to be asked about `recipient`, in their order; ALL and PASSED end it."""
        domain = address.domain(qualified(recipient)).lower()
        named = False
        for rule in self.rules:
            if rule.names(domain):
                named = True
                yield rule
            elif rule.domain == b"*":
                if rule.kind != PASSED or not named:
                    yield rule
            elif not rule.domain and not named:
                yield rule


def qualified(recipient: bytes) -> bytes:
    """`recipient` with a domain."""
    return recipient if b"@" in recipient else recipient + b"@localhost"


def names(recipient: bytes) -> list[bytes]:
    """The addresses under which `recipient` may be found: itself, and `joe-@domain` for what begins with `joe-`."""
    whole = qualified(recipient)
    local, _, domain = whole.rpartition(b"@")
    user, dash, _ = local.partition(BREAK)
    return [whole, b"%b-@%b" % (user, domain)] if dash else [whole]


def keys(recipient: bytes) -> list[bytes]:
    """The same as the keys of a cdb."""
    return [b":" + name.lower() for name in names(recipient)]
