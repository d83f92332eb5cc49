"""Lists of addresses: a text file with an address in each line, or a cdb with addresses as its keys.

`@example.org` stands for every address there. Addresses are compared without regard to case.
"""

from __future__ import annotations

from struct import error as StructError

import cdblib

from xfvchkuser.answers import NO, YES, Trouble, trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xfvchkuser.site import Recipient, Site


def in_text(recipient: Recipient, argument: str, site: Site) -> int:
    """Say whether a line of the file begins with the address; what follows a blank is the site's own."""
    wanted = [[key] for key in _keys(recipient, site) if not key.startswith(b"#")]  # which begins a comment
    path = site.path(argument)
    try:
        with open(path, "rb") as file:
            found = any(line.lower().split(None, 1)[:1] in wanted for line in file)
    except OSError as error:
        raise trouble(path, error) from None
    return YES if found else NO


def in_cdb(recipient: Recipient, argument: str, site: Site) -> int:
    """Say whether the cdb has the address as a key; the value is the site's own."""
    path = site.path(argument)
    database = open_cdb(path)
    if database is None:
        raise Trouble(f"{path}: no such file")
    return YES if any(database.get(key) is not None for key in _keys(recipient, site)) else NO


def _keys(recipient: Recipient, site: Site) -> list[bytes]:
    names = recipient.locals(site.breaks)
    return [name.lower() + b"@" + recipient.domain for name in names] + [b"@" + recipient.domain]


class Database:
    """A cdb whose faults are Trouble."""

    __slots__ = ("path", "reader")

    def __init__(self, path: str, reader: cdblib.Reader) -> None:
        self.path = path
        self.reader = reader

    def get(self, key: bytes) -> bytes | None:
        """Return the first value of key, None without one."""
        try:
            value: bytes | None = self.reader.get(key)
        except (StructError, ValueError, IndexError):
            raise Trouble(f"{self.path}: no cdb, or a broken one") from None
        return value


def open_cdb(path: str) -> Database | None:
    """Open the cdb at path, None without the file. Raises Trouble."""
    try:
        return Database(path, cdblib.Reader(file_path=path))
    except FileNotFoundError:
        return None
    except (StructError, ValueError):
        raise Trouble(f"{path}: no cdb, or a broken one") from None
    except OSError as error:
        raise trouble(path, error) from None
