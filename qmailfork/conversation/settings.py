"""What a session needs to know before it begins: the site's settings, and who the client is."""

from qmailfork.programs.checkers import Contract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ControlFault(Exception):
    """A control file cannot be read; its text names the file and the reason."""


class Settings:
    """The control files and environment of one session (qmail-control(5), qmailfork-control(5)).

    `greeting` names this host; `local_host` replaces an address literal that `is_mine` (None: never); `seconds` to
    wait for the client; `bad_senders` in lower case, addresses and @domains; `rcpthosts` in lower case (None: every
    recipient, an open relay), `more_rcpthosts` looks a domain up in the cdb and may raise ControlFault; `databytes`
    limits a message (0: no limit); `relay_suffix` is RELAYCLIENT's value (None: not a relay client); `queue` is the
    queue program; `loglevel` the qmail-ldap level above which nothing is logged; `checkers` the checkers' part.
    `wrapped` is the smtpd to stand in front of (empty: none), `child_seconds` how long its replies may take, `blind`
    the verbs that pass to it although nothing can be checked behind them.
    """

    __slots__ = (
        "bad_senders", "blind", "checkers", "child_seconds", "databytes", "greeting", "is_mine", "local_host",
        "loglevel", "more_rcpthosts", "queue", "rcpthosts", "relay_suffix", "seconds", "wrapped",
    )  # fmt: skip

    greeting: bytes
    local_host: bytes | None
    is_mine: "Callable[[bytes], bool]"
    seconds: float
    bad_senders: frozenset[bytes]
    rcpthosts: frozenset[bytes] | None
    more_rcpthosts: "Callable[[bytes], bool] | None"
    databytes: int
    relay_suffix: bytes | None
    queue: bytes
    loglevel: int
    checkers: Contract
    wrapped: "Sequence[bytes]"
    child_seconds: float
    blind: frozenset[bytes]

    def relaying(self) -> "Settings":
        """These settings for a client that has become a relay client."""
        settings = Settings()
        for name in self.__slots__:
            setattr(settings, name, getattr(self, name))
        settings.relay_suffix = b""
        settings.checkers = Contract({**self.checkers.environment, b"RELAYCLIENT": b""})
        return settings
