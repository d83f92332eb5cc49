"""spamcontrol's control files: badmailfrom with patterns, badrcptto, badhelo, recipients (qmailfork-control(5))."""

import posix

from qmailfork.programs.addresses import BadNames, BadRecipients, BadSenders
from qmailfork.programs.recipients import Recipients
from qmailfork.system import files
from qmailfork.system.cdb import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class Lists:
    """The lists below `home`: those of `there`, and `senders`, the lines of badmailfrom where some have patterns.

    A list that is not there is None. `recipients` are looked up in `databases`. Raises ControlFault for one that
    cannot be read.
    """

    __slots__ = ("bad_names", "bad_recipients", "bad_senders", "databases", "recipients")

    def __init__(self, home: bytes, there: "Collection[bytes]", senders: "Sequence[bytes]") -> None:
        def lines(name: bytes) -> list[bytes] | None:
            return files.lines(home + b"/control/" + name) if name in there else None

        names, bad, known = lines(b"badhelo"), lines(b"badrcptto"), lines(b"recipients")
        self.bad_senders = BadSenders(senders) if senders else None
        self.bad_names = None if names is None else BadNames(names)
        self.bad_recipients = None if bad is None else BadRecipients(bad)
        self.recipients = None if known is None else Recipients(known)
        self.databases = Databases(home)


class Databases:
    """The cdbs below `home`, each opened when it is first asked and again when the file has changed."""

    __slots__ = ("_home", "_opened")

    def __init__(self, home: bytes) -> None:
        self._home = home
        self._opened: dict[bytes, tuple[object, Database]] = {}

    def get(self, path: bytes, key: bytes) -> bytes | None:
        """The value under `key` in the cdb at `path`, None where it has none. Raises ControlFault."""
        where = path if path.startswith(b"/") else self._home + b"/" + path
        try:
            seen = files.version(posix.stat(where))
        except (OSError, ValueError) as fault:  # or a NUL in the path
            raise files.unreadable(where, fault) from None
        known, database = self._opened.get(path, (None, None))
        if database is None or known != seen:
            database = Database(where)
            self._opened[path] = seen, database
        return database.get(key)
