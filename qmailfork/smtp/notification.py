"""The parameters of delivery status notifications (RFC 3461 section 4; RFC 6533 section 3 for addresses in UTF-8).

Each function takes the parameters of one command as commands.parameters() gives them, and returns the value as it may
stand in an environment (printable ASCII, but for addresses in UTF-8), None where it is not given. Each raises
SyntaxFault for a value that is malformed.
"""

from qmailfork.smtp.address import SyntaxFault

LONGEST_IDENTIFIER = 100  # octets (RFC 3461 section 4.4)
LONGEST_ORIGINAL = 500  # octets (section 4.2)
_XCHAR = frozenset(range(33, 127)) - frozenset(b"+=")
_HEX = frozenset(b"0123456789ABCDEF")
_OCCASIONS = frozenset((b"SUCCESS", b"FAILURE", b"DELAY"))

TYPE_CHECKING = False
if TYPE_CHECKING:
    Given = dict[bytes, bytes | None]


def returned(given: "Given") -> bytes | None:
    """RET: FULL or HDRS."""
    value = _value(given, b"ret")
    if value is None or value.upper() in (b"FULL", b"HDRS"):
        return value and value.upper()
    raise SyntaxFault


def identifier(given: "Given") -> bytes | None:
    """ENVID, as xtext."""
    value = _value(given, b"envid")
    if value is not None and (len(value) > LONGEST_IDENTIFIER or not is_xtext(value)):
        raise SyntaxFault
    return value


def occasions(given: "Given") -> bytes | None:
    """NOTIFY: NEVER, or some of SUCCESS, FAILURE, DELAY between commas."""
    value = _value(given, b"notify")
    if value is None:
        return None
    value = value.upper()
    if value != b"NEVER" and not _OCCASIONS.issuperset(value.split(b",")):
        raise SyntaxFault
    return value


def original(given: "Given", utf8: bool) -> bytes | None:
    """ORCPT: the address type, `;`, the address as xtext; in plain UTF-8 too where the message is in `utf8`."""
    value = _value(given, b"orcpt")
    if value is None:
        return None
    kind, _, address = value.partition(b";")
    plain = utf8 and kind.lower() == b"utf-8" and is_utf8(address)
    text = bytes([octet for octet in address if octet < 128]) if plain else address
    if not kind.replace(b"-", b"").isalnum() or not address or len(value) > LONGEST_ORIGINAL or not is_xtext(text):
        raise SyntaxFault
    return value


def is_xtext(text: bytes) -> bool:
    """Whether `text` is printable ASCII in which `+` stands before two capital hex digits that are printable too."""
    first, *escaped = text.split(b"+")
    return _XCHAR.issuperset(first) and all(_is_escape(part[:2]) and _XCHAR.issuperset(part[2:]) for part in escaped)


def _is_escape(digits: bytes) -> bool:
    return len(digits) == 2 and _HEX.issuperset(digits) and 32 <= int(digits, 16) <= 126


def is_utf8(text: bytes) -> bool:
    """Whether `text` is well-formed UTF-8 (RFC 3629)."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _value(given: "Given", name: bytes) -> bytes | None:
    """The value of a parameter that has to have one where it is given. Raises SyntaxFault."""
    if name in given and not given[name]:
        raise SyntaxFault
    return given.get(name)
