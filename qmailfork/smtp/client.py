"""SMTP from the side of a client that behaves (RFC 5321): commands, replies, and a message in passage."""

from qmailfork.smtp import replies
from qmailfork.smtp.address import SyntaxFault
from qmailfork.smtp.body import Wire

LONGEST_REPLY = 65536  # octets, all lines
GO_AHEAD, LOGIN, LOGGED_IN, CLOSING = b"354", b"334", b"235", b"421"

# Extensions behind which a checker sees nothing, by the verb that begins them.
BLIND = {
    b"starttls": b"STARTTLS",
    b"bdat": b"CHUNKING",
    b"burl": b"BURL",
    b"xclient": b"XCLIENT",
    b"xexch50": b"XEXCH50",
    b"turn": b"TURN",
    b"atrn": b"ATRN",
}
_RECIPIENTS = b"RCPTMAX="
NEEDS_BLIND = (b"BINARYMIME",)  # of no use without CHUNKING

_ATOM = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.") | frozenset(
    range(128, 256)
)
_CLEAN = bytes(octet if (octet > 31 and octet != 127) or octet == 9 else ord("?") for octet in range(256))
_DOMAIN = _ATOM | frozenset(b"[]:")


class Nonsense(Exception):
    """What the server says is no SMTP."""


def clean(text: bytes) -> bytes:
    """`text` as a client may send it: a control character, but for a tab, becomes `?`."""
    return text.translate(_CLEAN)


def quoted(address: bytes) -> bytes:
    """An address as it stands between < and > (RFC 5321 section 4.1.2). Raises SyntaxFault where it cannot."""
    local, at, domain = address.rpartition(b"@")
    if not at:
        local, domain = address, b""
    if local != clean(local) or not _DOMAIN.issuperset(domain):
        raise SyntaxFault
    if not _ATOM.issuperset(local) or (at and not local):  # @domain alone would be read as a source route
        local = b'"%b"' % local.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return local + at + domain


def mail(sender: bytes, parameters: bytes) -> bytes:
    """MAIL for a sender. Raises SyntaxFault."""
    return b"MAIL FROM:<%b>%b" % (quoted(sender), _parameters(parameters))


def recipient(address: bytes, parameters: bytes) -> bytes:
    """RCPT for a recipient. Raises SyntaxFault."""
    return b"RCPT TO:<%b>%b" % (quoted(address), _parameters(parameters))


def _parameters(text: bytes) -> bytes:
    """Those words of `text` that have a parameter's shape."""
    return b"".join([b" " + word for word in text.split() if _is_parameter(word)])


def _is_parameter(word: bytes) -> bool:
    keyword, equals, value = word.partition(b"=")
    return keyword.replace(b"-", b"").isalnum() and b"=" not in value and bool(value) == bool(equals)


def reply(data: bytes) -> tuple[bytes, bytes] | None:
    """The first reply in `data` with CR LF after each line, and what follows it; None while it is not complete.

    Raises Nonsense.
    """
    lines: list[bytes] = []
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        line = data[at:end].removesuffix(b"\r")
        at = end + 1
        code = line[:3]
        if not (code.isdigit() and b"200" <= code < b"600" and line[3:4] in (b" ", b"-", b"")):
            raise Nonsense
        if lines and code != lines[0][:3]:
            raise Nonsense
        lines.append(line)
        if line[3:4] != b"-":
            return b"\r\n".join(lines) + b"\r\n", data[at:]
    if len(data) > LONGEST_REPLY:
        raise Nonsense
    return None


def offers(answer: bytes) -> frozenset[bytes]:
    """The keywords in the `answer` to EHLO, in capitals."""
    return frozenset([line[4:].partition(b" ")[0].upper() for line in answer.split(b"\r\n")[1:-1]])


def extensions(answer: bytes, let_through: frozenset[bytes]) -> tuple[bytes, list[bytes]]:
    """The `answer` to EHLO without what is in BLIND (but for the verbs `let_through`) and with PIPELINING: that, and
    what was taken out.
    """
    hidden = {word for verb, word in BLIND.items() if verb not in let_through} | set(NEEDS_BLIND)
    first, *texts = [line[4:] for line in answer.split(b"\r\n")[:-1]]
    words = [text.partition(b" ")[0].upper() for text in texts]
    kept = [text for text, word in zip(texts, words, strict=True) if word not in hidden]
    if b"PIPELINING" not in words:
        kept.append(b"PIPELINING")
    return replies.lines(b"250", (first, *kept)), [word for word in words if word in hidden]


def limited(answer: bytes, most: int) -> bytes:
    """The `answer` to EHLO, telling that no more than `most` recipients are taken for one message (RFC 9422).

    A server that says so of fewer is left as it is.
    """
    first, *texts = [line[4:] for line in answer.split(b"\r\n")[:-1]]
    told = [word for text in texts if _is_limits(text) for word in text.split()[1:]]
    theirs = [word[len(_RECIPIENTS) :] for word in told if word.upper().startswith(_RECIPIENTS)]
    if any(number.isdigit() and 0 < int(number[:7]) <= most for number in theirs):
        return answer
    kept = [word for word in told if not word.upper().startswith(_RECIPIENTS)]
    limits = b" ".join([b"LIMITS", _RECIPIENTS + b"%d" % most, *kept])
    return replies.lines(b"250", (first, *[text for text in texts if not _is_limits(text)], limits))


def _is_limits(text: bytes) -> bool:
    return text.partition(b" ")[0].upper() == b"LIMITS"


class Passage(Wire):
    """A message on its way through to another server, octet by octet as it came.

    A dot at the start of a line is doubled where it stands before a CR that ends no line: there a server that is lax
    about line ends could take it for the message's end.
    """

    __slots__ = ()

    def feed(self, block: bytes) -> bytes:
        """What `block` makes sure to be of the message, ready to be sent."""
        fresh = self.fresh
        wire = self.cut(block)
        if wire.count(b"\n") != wire.count(b"\r\n"):
            self.stray = True
            return b""
        if fresh and wire.startswith(b".\r"):
            wire = b"." + wire
        return wire.replace(b"\r\n.\r", b"\r\n..\r")
