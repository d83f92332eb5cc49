"""The .qmail file that controls an address (dot-qmail(5)), and what it means for «does it exist?»."""

from __future__ import annotations

import errno
import os
import stat

from xfvchkuser.answers import Trouble, trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from xfvchkuser.owners import Owner

DELIVERS = "delivers"  # to somebody; what becomes of it later is not the question
BOUNCES = "bounces"  # every message
MAILBOX = "mailbox"  # vpopmail's vdelivermail: an account of the domain, else it bounces
CATCHALL = "catchall"  # vdelivermail: an account of the domain, else somebody all the same

LARGEST = 1 << 20  # octets read of a .qmail file
ABSENT = (FileNotFoundError, NotADirectoryError)


def read(owner: Owner) -> bytes | None:
    """Return the first .qmail file that owner's address has, None for none.

    A file that is there and may not be read is an empty one, which delivers. Raises Trouble where a
    directory is missing or may not be searched.
    """
    for name in names(owner):
        text = _contents(owner.home + b"/.qmail" + name)
        if text is not None:
            return text
    if not os.path.isdir(owner.home):
        raise Trouble(f"{os.fsdecode(owner.home)}: no such directory, or not to be seen")
    return None


def default(owner: Owner) -> bytes | None:
    """Return the .qmail file of last resort beside owner's address, None for none. Raises Trouble."""
    return _contents(owner.home + b"/.qmail" + owner.dash + b"default")


def names(owner: Owner) -> Iterator[bytes]:
    """Yield what follows .qmail, in qmail-local's order: the exact name, then each default.

    A name with a slash is left out: no .qmail file is meant to lie in another directory.
    """
    safe = owner.ext.lower().replace(b".", b":")
    ends = [at for at in range(len(safe), -1, -1) if at == 0 or safe[at - 1 : at] == b"-"]
    for name in (safe, *(safe[:at] + b"default" for at in ends)):
        if b"/" not in name:
            yield owner.dash + name


def _contents(path: bytes) -> bytes | None:
    try:
        return _regular(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # users may put a pipe there
    except ABSENT:
        return None
    except PermissionError as error:
        return _unreadable(path, error)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise trouble(path, error) from None


def _regular(descriptor: int) -> bytes | None:
    try:
        return os.read(descriptor, LARGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)


def _unreadable(path: bytes, error: OSError) -> bytes:
    try:
        os.stat(path)
    except OSError:
        raise trouble(path, error) from None
    return b""


def meaning(text: bytes) -> str:
    """Return what a .qmail file's instructions come to.

    vdelivermail counts wherever it stands, and so does the word bounce-no-mailbox, as for the chkuser
    patch; a bounce counts where it is the first instruction. Everything else delivers.
    """
    lines = [line.rstrip(b" \t") for line in text.split(b"\n")]
    instructions = [line for line in lines if line and not line.startswith(b"#")]
    for line in instructions:
        if line.startswith(b"|") and (found := _vdelivermail(line)):
            return found
    return BOUNCES if instructions and _bounces(instructions[0]) else DELIVERS


def _vdelivermail(line: bytes) -> str:
    words = [word.strip(b"'\"") for word in line[1:].split()]
    if b"bounce-no-mailbox" in words:
        return MAILBOX
    return CATCHALL if any(os.path.basename(word) == b"vdelivermail" for word in words) else ""


def _bounces(line: bytes) -> bool:
    """Say whether a line is `|exit 100` or `|bouncesaying TEXT` without a program that decides."""
    words = line[1:].split(None, 1) if line.startswith(b"|") else []
    if len(words) < 2:
        return False
    program, rest = os.path.basename(words[0]), words[1].strip()
    if program == b"exit":
        return rest == b"100"
    return program == b"bouncesaying" and _one_word(rest)


def _one_word(text: bytes) -> bool:
    quote = text[:1]
    if quote in (b"'", b'"'):
        return len(text) > 1 and text.find(quote, 1) == len(text) - 1
    return not text.split(None, 1)[1:]
