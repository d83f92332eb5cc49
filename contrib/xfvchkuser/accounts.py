"""The accounts of a vpopmail domain: its directory's vpasswd.cdb, or vpasswd."""

from __future__ import annotations

import os

from xfvchkuser.answers import NO, YES, trouble
from xfvchkuser.site import Recipient
from xfvchkuser.tables import open_cdb

BOUNCE_MAIL = 0x10  # the flag in an account's gid field: this account's mail bounces
GID = 2  # place of that field behind the name

FILES = (b"vpasswd.cdb", b"vpasswd")


def kept(home: bytes) -> bool:
    """Say whether the directory has a file of accounts. Raises Trouble where it may not be searched."""
    for name in FILES:
        try:
            os.stat(home + b"/" + name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise trouble(home, error) from None
        return True
    return False


def holds(home: bytes, user: bytes, breaks: bytes) -> bool | None:
    """Return True for an account that takes mail, False for one whose mail bounces, None for no account."""
    for name in Recipient(user, b"").locals(breaks):
        fields = _fields(os.fsdecode(home), name.lower())
        if fields is not None:
            return not (_flags(fields) & BOUNCE_MAIL)
    return None


def answer(home: bytes, user: bytes, breaks: bytes, otherwise: int) -> int:
    """Return YES or NO for an account, otherwise for none."""
    held = holds(home, user, breaks)
    return otherwise if held is None else YES if held else NO


def _fields(home: str, name: bytes) -> list[bytes] | None:
    """Return an account's fields behind the name: password, uid, gid, gecos, directory, quota."""
    database = open_cdb(f"{home}/vpasswd.cdb")
    if database is not None:
        value = database.get(name)
        return None if value is None else value.split(b":")
    path = f"{home}/vpasswd"
    try:
        with open(path, "rb") as file:
            lines = (line.rstrip(b"\n").split(b":") for line in file)
            return next((fields[1:] for fields in lines if fields[0] == name and len(fields) > 1), None)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise trouble(path, error) from None


def _flags(fields: list[bytes]) -> int:
    flags = fields[GID] if len(fields) > GID else b""
    return int(flags) if flags.isdigit() else 0
