"""What a session needs to know before it begins: the site's settings, and who the client is."""

from qmailfork.programs.checkers import Contract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qmailfork.conversation.authentication import Auth
    from qmailfork.conversation.switches import Switches

MOST_SECONDS = 2_000_000  # that can be waited for: poll(2) counts milliseconds in an int
CHUNKING, DSN, SMTPUTF8 = b"chunking", b"dsn", b"smtputf8"
EXTENSIONS = (CHUNKING, DSN, SMTPUTF8)  # that a site can turn on, in the order in which EHLO tells of them


class ControlFault(Exception):
    """A control file cannot be read; its text names the file and the reason."""


class Tls:
    """How a session comes to TLS (RFC 3207; qmailfork-control(5)).

    `certificate` and `key` are files in PEM, `dh` and `ca` (who signs clients' certificates) too, None for none;
    `ciphers` is OpenSSL's list, empty for ours; `clients` may relay by certificate: addresses in lower case.
    `demands_client` refuses those without one. `required` before any mail, `at_once` with the first octet, `done`
    by whoever started us, `barred` by the site. `server` are the descriptors of a server that does it for us (None:
    we do). `fault` tells what is wrong with the certificate, as far as that is cheap to know; empty for nothing.
    """

    __slots__ = (
        "at_once", "barred", "ca", "certificate", "ciphers", "clients", "demands_client", "dh", "done", "fault", "key",
        "required", "server",
    )  # fmt: skip

    certificate: bytes
    key: bytes
    dh: bytes | None
    ca: bytes | None
    ciphers: bytes
    clients: frozenset[bytes]
    demands_client: bool
    required: bool
    at_once: bool
    done: bool
    barred: bool
    server: tuple[int, int, int] | None
    fault: "Callable[[], bytes]"


class Settings:
    """The control files and environment of one session (qmail-control(5), qmailfork-control(5)).

    `greeting` names this host; `local_host` replaces an address literal that `is_mine` (None: never); `seconds` to
    wait for the client; `bad_senders` in lower case, addresses and @domains; `rcpthosts` in lower case (None: every
    recipient, an open relay), `more_rcpthosts` looks a domain up in the cdb and may raise ControlFault; `databytes`
    limits a message (0: no limit); `relay_suffix` is RELAYCLIENT's value (None: not a relay client); `queue` is the
    queue program; `loglevel` the qmail-ldap level above which nothing is logged; `checkers` the checkers' part.
    `wrapped` is the smtpd to stand in front of (empty: none), `child_seconds` how long its replies may take, `blind`
    the verbs that pass to it although nothing can be checked behind them. `tls` is None where there is none,
    `switches` where none of spamcontrol's is set, `auth` where nobody can say who they are. `extensions` are those
    that the site has turned on.
    """

    __slots__ = (
        "auth", "bad_senders", "blind", "checkers", "child_seconds", "databytes", "extensions", "greeting", "is_mine",
        "local_host", "loglevel", "more_rcpthosts", "queue", "rcpthosts", "relay_suffix", "seconds", "switches", "tls",
        "wrapped",
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
    tls: Tls | None
    switches: "Switches | None"
    extensions: frozenset[bytes]
    auth: "Auth | None"

    def relaying(self) -> "Settings":
        """These settings for a client that has become a relay client."""
        settings = Settings()
        for name in self.__slots__:
            setattr(settings, name, getattr(self, name))
        settings.relay_suffix = b""
        contract = settings.checkers = Contract({**self.checkers.environment, b"RELAYCLIENT": b""})
        contract.complaints = [told for told in contract.complaints if told not in self.checkers.complaints]
        return settings
