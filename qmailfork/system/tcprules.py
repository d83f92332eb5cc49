"""tcprules' database: who may connect, and with which environment (tcprules(1), tcpserver(1))."""

import posix

from qmailfork.conversation.settings import ControlFault
from qmailfork.system import files
from qmailfork.system.cdb import Database

NEVER = object()  # seen: not even that it is not there
CACHED = 4096  # decisions kept for one version of the file


class Rule:
    """What the rules say of a client: whether it is `allowed`, and the variables of its `environment`."""

    __slots__ = ("allowed", "environment")

    def __init__(self, allowed: bool, environment: dict[bytes, bytes]) -> None:
        self.allowed = allowed
        self.environment = environment


ALLOW = Rule(True, {})


class Rules:
    """The rules in the cdb at `path`, read again when the file changes.

    `path` None allows everyone. A file that is not there: with `optional` everyone is allowed (tcpserver's -X).
    Raises ControlFault where the first version cannot be read; of later ones the last good one stands.
    """

    __slots__ = ("_database", "_decided", "_optional", "_parsed", "_path", "_seen")

    def __init__(self, path: bytes | None, optional: bool) -> None:
        self._path = path
        self._optional = optional
        self._decided: dict[tuple[bytes, bytes | None, bytes | None], Rule] = {}
        self._parsed: dict[bytes, Rule] = {}  # one Rule for each text, however many addresses have it
        self._database: Database | None = None
        self._seen: object = NEVER
        self.refresh()

    def refresh(self) -> bool:
        """True where there was a new version of the file to take in. Raises ControlFault, once for each bad one."""
        if self._path is None:
            return False
        seen = self._version(self._path)
        if seen == self._seen:
            return False
        self._seen = seen
        if seen is not None:
            database = Database(self._path, kept=True)
            database.get(b"")  # one that is damaged shows it now
            self._database = database
        elif self._optional:
            self._database = None
        else:
            raise ControlFault(f"{self._path.decode(errors='surrogateescape')}: file does not exist")
        self._decided.clear()
        self._parsed.clear()
        return True

    @staticmethod
    def _version(path: bytes) -> object:
        try:
            return files.version(posix.stat(path))
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise files.unreadable(path, fault) from None

    def decide(self, ip: bytes, host: bytes | None, info: bytes | None) -> Rule:
        """The rule for a client; `host` and `info` None where they are not known. Raises ControlFault."""
        if self._database is None:
            return ALLOW
        client = ip, host, info
        rule = self._decided.get(client)
        if rule is None:
            if len(self._decided) >= CACHED:
                self._decided.clear()
            rule = self._decided[client] = self._look_up(self._database, ip, host, info)
        return rule

    def key(self, ip: bytes, host: bytes | None, info: bytes | None) -> bytes | None:
        """The address that the rule for a client stands under; None where there is no rule. Raises ControlFault."""
        database = self._database
        found = keys(ip, host, info) if database is not None else []
        return next((key for key in found if database is not None and database.get(key) is not None), None)

    def _look_up(self, database: Database, ip: bytes, host: bytes | None, info: bytes | None) -> Rule:
        for key in keys(ip, host, info):
            value = database.get(key)
            if value is not None:
                if value not in self._parsed:
                    self._parsed[value] = parse(value)
                return self._parsed[value]
        return ALLOW


def every(path: bytes) -> list[tuple[bytes, Rule]]:
    """All rules in the cdb at `path`, each with its address. Raises ControlFault."""
    return [(address, parse(value)) for address, value in Database(path, kept=True).items()]


def keys(ip: bytes, host: bytes | None, info: bytes | None) -> list[bytes]:
    """The addresses under which a rule is looked for, in tcprules' order."""
    found = []
    if info is not None:
        found.append(info + b"@" + ip)
        if host is not None:
            found.append(info + b"@=" + host)
    found.append(ip)
    if host is not None:
        found.append(b"=" + host)
    dots = (ord("."), ord(":"))
    found += [ip[: at + 1] for at in range(len(ip) - 1, -1, -1) if ip[at] in dots]
    if host is not None:
        found += [b"=" + host[at:] for at in range(len(host)) if host[at] == ord(".")]
        found.append(b"=")
    found.append(b"")
    return found


def parse(value: bytes) -> Rule:
    """A rule as tcprules stores it: D where it denies, then +NAME=VALUE and NUL for each variable."""
    allowed, environment = True, {}
    for word in value.split(b"\0"):
        if word.startswith(b"D"):
            allowed, word = False, word[1:]
        if word.startswith(b"+"):
            name, _, text = word[1:].partition(b"=")
            if name:
                environment[name] = text
    return Rule(allowed, environment)
