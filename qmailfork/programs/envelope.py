"""The envelope of qmail-queue(8), as a queue reads it: F sender NUL, then T recipient NUL for each, then NUL.

And what a delivery keeps of it: the header fields that qmail-local(8) writes above a message.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ADDRESS_LIMIT = 1002  # octets in one address, the NUL not counted: ADDR in qmail-queue.c
ADDRESS_TOO_LONG, READ_ERROR, MALFORMED = 11, 54, 91

_CONTROLS = bytes((*range(32), 127))
_NO_CONTROLS = bytes.maketrans(_CONTROLS, b"_" * len(_CONTROLS))
_ATOM_OCTETS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~."
_ATOM_OCTETS += bytes(range(128, 256))


class Refused(Exception):
    """A message that the queue does not take.

    code: int, the exit code of qmail-queue(8) that says why; reason: str, one line for the log.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def addresses(blocks: "Iterable[bytes]") -> "Iterator[bytes]":
    """Yield the sender, then every recipient (bytes each), of an envelope that arrives in blocks.

    Raises Refused as qmail-queue.c exits: 91 for a wrong letter, 11 for an address of more than ADDRESS_LIMIT
    octets, 54 for an envelope that ends before its last NUL. What follows that NUL is not looked at.
    """
    letter, rest = b"F", b""
    for block in blocks:
        *entries, rest = (rest + block).split(b"\0")
        for entry in entries:
            if letter == b"T" and not entry:
                return
            yield _address(entry, letter)
            letter = b"T"
        if rest:
            _address(rest, letter)
    raise Refused(READ_ERROR, "the envelope ends early")


def _address(entry: bytes, letter: bytes) -> bytes:
    if entry[:1] != letter:
        raise Refused(MALFORMED, f"the envelope is malformed: no {letter.decode()} where one must be")
    if len(entry) > ADDRESS_LIMIT + 1:
        raise Refused(ADDRESS_TOO_LONG, f"the envelope has an address of more than {ADDRESS_LIMIT} octets")
    return entry[1:]


def return_path(sender: bytes) -> bytes:
    """Return the Return-Path field (RFC 5321, 4.4) for a sender, with its line feed.

    An empty sender gives <>. A local part that is no dot-string is quoted; control octets become `_`, so that
    no address makes a line of its own.
    """
    local, at, domain = sender.translate(_NO_CONTROLS).rpartition(b"@")
    if not at:
        local, domain = domain, b""
    return b"Return-Path: <" + _quoted(local) + at + domain.replace(b">", b"_") + b">\n"


def _quoted(local: bytes) -> bytes:
    is_dot_string = not local.translate(None, _ATOM_OCTETS) and b"" not in local.split(b".")
    if is_dot_string or not local:
        return local
    return b'"' + local.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def delivered_to(recipient: bytes) -> bytes:
    """Return the Delivered-To field (qmail-local(8)) for a recipient, control octets as `_`, with LF."""
    return b"Delivered-To: " + recipient.translate(_NO_CONTROLS) + b"\n"
