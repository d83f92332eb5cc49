"""Who controls a local address: qmail-users(5) first, then qmail-getpw(8)."""

from __future__ import annotations

import os
import pwd

from xfvchkuser.answers import Trouble, trouble
from xfvchkuser.tables import open_cdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from xfvchkuser.site import Site
    from xfvchkuser.tables import Database

BREAK = b"-"  # conf-break, as qmail is built
NAME = 32  # octets that qmail-getpw has for an account name and its end


class Owner:
    """The directory and the name that delivery goes by: home/.qmail + dash + ext."""

    __slots__ = ("dash", "ext", "home")

    def __init__(self, home: bytes, dash: bytes, ext: bytes) -> None:
        self.home, self.dash, self.ext = home, dash, ext

    def __repr__(self) -> str:
        return f"Owner({self.home!r}, {self.dash!r}, {self.ext!r})"


def assigned(site: Site, local: bytes) -> Owner | None:
    """Return the owner that users/cdb, or without that file users/assign, gives to local. Raises Trouble."""
    database = open_cdb(site.path("users/cdb"))
    return _from_text(site.path("users/assign"), local) if database is None else _from_cdb(database, local)


def _from_cdb(database: Database, local: bytes) -> Owner | None:
    wildcards = database.get(b"") or b""  # the last octets of all wildcards: most keys need no look-up
    for key, ext in _keys(local):
        if ext and key != b"!" and key[-1:] not in wildcards:
            continue
        value = database.get(key)
        if value is not None:
            return _owner(value.split(b"\0"), ext, database.path)
    return None


def _keys(local: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys of users/cdb, the most specific first, each with what a wildcard leaves of local."""
    lower = b"!" + local.lower()
    yield lower + b"\0", b""
    for length in range(len(lower), 0, -1):
        yield lower[:length], local[length - 1 :]


def _owner(fields: list[bytes], ext: bytes, path: str) -> Owner:
    if len(fields) < 6:
        raise Trouble(f"{path}: an assignment with fewer than six fields")
    return Owner(fields[3], fields[4], fields[5] + ext)


def _from_text(path: str, local: bytes) -> Owner | None:
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise trouble(path, error) from None
    best: tuple[int, bytes] | None = None
    lower = local.lower()
    for line in lines:
        name = line[1:].partition(b":")[0].lower()
        if line.startswith(b"=") and name == lower:
            return _owner(line.split(b":")[1:], b"", path)
        if line.startswith(b"+") and lower.startswith(name) and (best is None or len(name) > best[0]):
            best = len(name), line
    return _owner(best[1].split(b":")[1:], local[best[0] :], path) if best else None


def account(local: bytes) -> Owner:
    """Return the owner that qmail-getpw(8) gives to local: an account, or alias. Raises Trouble."""
    for at in range(len(local), -1, -1):
        if at < NAME and (at == len(local) or local[at : at + 1] == BREAK):
            home = _home(local[:at].lower())
            if home is not None:
                return Owner(home, b"-" if at < len(local) else b"", local[at + 1 :])
    try:
        return Owner(os.fsencode(pwd.getpwnam("alias").pw_dir), b"-", local)
    except KeyError:
        raise Trouble("there is no account alias, which owns every other address") from None


def _home(name: bytes) -> bytes | None:
    """Return the home of an account that qmail-getpw considers a user: not root, and owner of its home."""
    try:
        entry = pwd.getpwnam(os.fsdecode(name))
        owns = os.stat(entry.pw_dir).st_uid == entry.pw_uid
    except (KeyError, FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError as error:
        raise trouble(entry.pw_dir, error) from None
    return os.fsencode(entry.pw_dir) if entry.pw_uid and owns else None
