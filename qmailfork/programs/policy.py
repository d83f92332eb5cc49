"""Postfix policy delegation (SMTPD_POLICY_README, access(5)): `policy:unix:PATH` and `policy:inet:HOST:PORT`.

A question is lines of name=value and an empty line; so is the answer, of which `action` counts. ACTIONS and the reply
codes are all that a front end can obey. An action that only Postfix's own queue or routing can carry out (HOLD,
FILTER, BCC …) and one that nobody knows make the checker one that failed.
"""

from qmailfork.programs.outcome import ANSWERED, UNSTARTED
from qmailfork.programs.verdict import PERMIT, REJECT, Checker, Envelope, Verdict
from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.programs.checkers import Contract
    from qmailfork.programs.outcome import Outcome
    from qmailfork.programs.peer import Peer

END = b"\n\n"
CLOSING = (b"421", b"521")
LONGEST = 2048  # octets of a value: Postfix has no longer ones (its line_length_limit), nor servers room for them
_SAFE = bytes(octet if octet > 31 and octet != 127 else ord("?") for octet in range(256))


class BadAddress(ValueError):
    """What stands behind `policy:` is no address."""


def address(text: bytes) -> bytes | tuple[bytes, int]:
    """The path of a Unix socket, or host and port. Raises BadAddress."""
    kind, _, rest = text.strip().partition(b":")
    if kind == b"unix" and rest:
        return rest
    host, _, port = rest.rpartition(b":")
    if kind == b"inet" and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536:
        return host.strip(b"[]") or b"127.0.0.1", int(port)
    raise BadAddress


class PolicyServer(Checker):
    """A resident policy server at `address`: a path (bytes), or host and port."""

    resident = True
    end = END

    def __init__(self, rest: bytes) -> None:
        """Raises BadAddress."""
        self.argv = []
        self.program = b"policy:" + rest.strip()
        self.address = address(rest)
        self._known: tuple[Peer | None, bytes] = None, b""  # the last client, and what was said of it

    def question(self, envelope: Envelope) -> bytes:
        """Its attributes of the session and of the recipient at hand."""
        peer, fixed = self._known
        if peer is not envelope.peer:
            fixed = _lines(_fixed(envelope.peer))
            self._known = envelope.peer, fixed
        return fixed + _lines(_changing(envelope)) + b"\n"

    def judge(self, contract: "Contract", outcome: "Outcome") -> Verdict:
        """What its answer means."""
        if outcome.how == UNSTARTED:
            return contract.failed(b"Connect")
        if outcome.how != ANSWERED:
            return contract.failure(outcome)
        for line in outcome.output.split(b"\n"):
            name, _, action = line.partition(b"=")
            if name == b"action":
                return _obey(contract, action.strip())
        return contract.failure(outcome, b"Protocol")


def _lines(attributes: dict[bytes, bytes]) -> bytes:
    return b"".join([b"%b=%b\n" % (name, value[:LONGEST].translate(_SAFE)) for name, value in attributes.items()])


def _fixed(peer: "Peer") -> dict[bytes, bytes]:
    """The attributes that stay as they are while the session lasts; none of them tells of TLS."""
    return {
        b"request": b"smtpd_access_policy",
        b"protocol_state": b"RCPT",
        b"client_address": peer.ip,
        b"client_name": peer.host or b"unknown",
        b"reverse_client_name": peer.host or b"unknown",
        b"client_port": peer.port,
        b"server_address": peer.server[0],
        b"server_port": peer.server[1],
        **dict.fromkeys(_EMPTY, b""),
        b"recipient_count": b"0",
        b"encryption_keysize": b"0",
    }


_EMPTY = (
    b"queue_id", b"etrn_domain", b"stress", b"sasl_sender", b"ccert_subject",
    b"ccert_issuer", b"ccert_fingerprint", b"ccert_pubkey_fingerprint", b"encryption_protocol", b"encryption_cipher",
    b"policy_context",
)  # fmt: skip


def _changing(envelope: Envelope) -> dict[bytes, bytes]:
    user, method = envelope.login or (b"", b"")
    return {
        b"sasl_method": method,
        b"sasl_username": user,
        b"protocol_name": b"ESMTP" if envelope.extended else b"SMTP",
        b"helo_name": envelope.helo,
        b"sender": envelope.sender,
        b"recipient": envelope.recipient,
        b"size": b"%d" % envelope.size,
        b"instance": envelope.message,
    }


def _obey(contract: "Contract", action: bytes) -> Verdict:
    word, _, text = action.replace(b"\t", b" ").partition(b" ")
    text = text.strip()
    if replies.is_refusal(word):
        return _refusal(word, text)
    if word.isdigit() and not text:
        return _accepted(text)
    known = ACTIONS.get(word.upper())
    if known:
        return known(text)
    verdict = contract.failed(b"Action")
    verdict.remarks = ((b"Extfork_Action", action),)
    return verdict


def _refusal(code: bytes, text: bytes) -> Verdict:
    verdict = Verdict(code, b"Extfork_" + code)
    verdict.closes = code in CLOSING
    if text:
        verdict.words = (replies.plain(text),)
    return verdict


def _enhanced(code: bytes, status: bytes, waits: str = "") -> "Callable[[bytes], Verdict]":
    """A refusal that gets an enhanced status code (RFC 3463) where its text does not begin with one."""

    def refuse(text: bytes) -> Verdict:
        if text and not text[:5].replace(b".", b"", 2).isdigit():
            text = status + b" " + text
        verdict = _refusal(code, text)
        verdict.waits = waits
        return verdict

    return refuse


def _accepted(text: bytes) -> Verdict:
    verdict = Verdict()
    verdict.ends = True
    return verdict


def _go_on(text: bytes) -> Verdict:
    return Verdict()


def _prepend(text: bytes) -> Verdict:
    verdict = Verdict()
    verdict.headers = (text,)
    return verdict


def _remark(condition: bytes) -> "Callable[[bytes], Verdict]":
    def remark(text: bytes) -> Verdict:
        verdict = Verdict()
        verdict.remarks = ((condition, text),)
        return verdict

    return remark


ACTIONS: "dict[bytes, Callable[[bytes], Verdict]]" = {
    b"OK": _accepted,
    b"PERMIT": _accepted,
    b"DUNNO": _go_on,
    b"REJECT": _enhanced(b"554", b"5.7.1"),
    b"DEFER": _enhanced(b"450", b"4.7.1"),
    b"DEFER_IF_PERMIT": _enhanced(b"450", b"4.7.1", PERMIT),
    b"DEFER_IF_REJECT": _enhanced(b"450", b"4.7.1", REJECT),
    b"PREPEND": _prepend,
    b"WARN": _remark(b"Extfork_Warn"),
    b"INFO": _remark(b"Extfork_Info"),
}
