"""TLS by Python's ssl on OpenSSL, in memory: octets in, octets out; whoever holds the descriptors carries them."""

import os
import posix
import ssl
import time

from qmailfork.conversation.settings import Tls
from qmailfork.system import certificates, files
from qmailfork.system.certificates import Unusable
from qmailfork.system.dn import subject

RECORD = 16384  # octets of the longest record (RFC 8446 section 5.1)
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"  # TLS 1.2; those of 1.3 are OpenSSL's own
_NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which ssl has no name for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.system.files import Version

    Stamp = Version | None


class Failed(Exception):
    """The handshake failed; the text says why."""


class Engine:
    """One session's TLS, on the server's side."""

    __slots__ = ("_incoming", "_outgoing", "_tls")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shake(self, block: bytes) -> bool:
        """Go on with the handshake by what the client sent: whether it is complete. Raises Failed."""
        self._incoming.write(block)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as fault:
            raise Failed(_reason(fault)) from None
        return True

    def outgoing(self) -> bytes:
        """What there is to send."""
        return self._outgoing.read()

    def seal(self, words: bytes) -> bytes:
        """What to send the client so that it reads these `words`."""
        try:
            if words:
                self._tls.write(words)
        except ssl.SSLError:
            return b""  # the next one who reads learns of it
        return self.outgoing()

    def open(self, block: bytes, most: int) -> bytes | None:
        """What the client said in `block` (may be empty) and before, at the `most` so many octets.

        None where that is nothing whole yet; b"" where it is gone, or no longer speaks TLS.
        """
        self._incoming.write(block)
        words: list[bytes] = []
        try:
            while most > 0:
                piece = self._tls.read(min(most, RECORD))
                if not piece:
                    break
                words.append(piece)
                most -= len(piece)
        except ssl.SSLWantReadError:
            return b"".join(words) or None
        except ssl.SSLError:
            pass  # what was whole before it counts; the next read fails again
        return b"".join(words)

    def farewell(self) -> bytes:
        """What tells the client that nothing comes any more (RFC 8446 section 6.1)."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # the client's own farewell is not waited for
        return self.outgoing()

    def facts(self) -> dict[bytes, bytes]:
        """The variables of a session under TLS, as sslserver(1) names them."""
        name, _, bits = self._tls.cipher() or ("unknown", "", 0)
        facts = {
            b"SSL_PROTOCOL": (self._tls.version() or "unknown").encode(),
            b"SSL_CIPHER": name.encode(),
            b"SSL_CIPHER_USEKEYSIZE": b"%d" % bits,
        }
        client = self._tls.getpeercert()
        if client:
            facts[b"SSL_CLIENT_VERIFY"] = b"SUCCESS"
            facts.update(subject(client))
        return facts


class _Made:
    """A context, the files it was made of as they were, and until when its certificate is good (Unix seconds)."""

    __slots__ = ("begins", "context", "ends", "stamps")

    def __init__(self, context: ssl.SSLContext, stamps: "tuple[Stamp, ...]", begins: float, ends: float) -> None:
        self.context = context
        self.stamps = stamps
        self.begins = begins
        self.ends = ends


_made: dict[tuple[bytes | bool | None, ...], _Made] = {}


def context(tls: Tls) -> ssl.SSLContext:
    """The context for `tls`, made anew where one of its files has changed. Raises Unusable."""
    return _good(tls).context


def good_until(tls: Tls) -> float:
    """Until when its certificate is good, in Unix seconds. Raises Unusable."""
    return _good(tls).ends


def _good(tls: Tls) -> _Made:
    """What is made for `tls`, whose certificate is good now. Raises Unusable."""
    paths = (tls.certificate, tls.key, tls.dh, tls.ca)
    key = (*paths, tls.ciphers, tls.demands_client)
    stamps = tuple(_stamp(path) for path in paths)
    made = _made.get(key)
    if made is None or made.stamps != stamps:
        made = _made[key] = _make(tls, stamps)
    now = time.time()
    if not made.begins <= now <= made.ends:
        name = tls.certificate.decode(errors="surrogateescape")
        raise Unusable(f"{name}: the certificate {'has expired' if now > made.ends else 'is not valid yet'}")
    return made


def _make(tls: Tls, stamps: "tuple[Stamp, ...]") -> _Made:
    reason = certificates.fault(tls.certificate, tls.key)
    if reason:
        raise Unusable(reason.decode(errors="surrogateescape"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    with _Naming(tls.certificate):
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: b"")  # without it, OpenSSL asks a terminal
        begins, ends = _validity(context, tls.certificate)
    with _Naming(tls.dh or b"DHFILE"):
        if tls.dh:
            context.load_dh_params(os.fsdecode(tls.dh))
    with _Naming(b"CIPHERS"):
        context.set_ciphers(tls.ciphers.decode() if tls.ciphers else CIPHERS)
    _ask_for_client(context, tls)
    context.sni_callback = lambda client, name, _: _choose(client, name, tls)
    return _Made(context, stamps, begins, ends)


def _ask_for_client(context: ssl.SSLContext, tls: Tls) -> None:
    if tls.ca:
        with _Naming(tls.ca):
            context.load_verify_locations(tls.ca)
        context.verify_mode = ssl.CERT_REQUIRED if tls.demands_client else ssl.CERT_OPTIONAL


class _Naming:
    """Names `what` is at fault where ssl only says that something is. Raises Unusable."""

    def __init__(self, what: bytes) -> None:
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if isinstance(fault, (ssl.SSLError, OSError, ValueError, Failed)):
            raise Unusable(f"{self._what.decode(errors='surrogateescape')}: {_reason(fault)}") from None


def _reason(fault: Exception) -> str:
    """The reason in lower case, without where in OpenSSL it was found."""
    reason = getattr(fault, "reason", None) or getattr(fault, "strerror", None) or str(fault)
    return str(reason).replace("_", " ").lower()


def _validity(server: ssl.SSLContext, certificate: bytes) -> tuple[float, float]:
    """From when until when the certificate is good, in Unix seconds; found by a rehearsal with a client of our own.

    ssl shows a certificate's dates to nobody but a client that trusts it.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    client.load_verify_locations(certificate)
    to_client, to_server, engine = ssl.MemoryBIO(), ssl.MemoryBIO(), Engine(server)
    rehearsing = client.wrap_bio(to_client, to_server)
    while True:
        try:
            rehearsing.do_handshake()
            break
        except ssl.SSLWantReadError:
            engine.shake(to_server.read())
            to_client.write(engine.outgoing())
        except ssl.SSLCertVerificationError:  # of a kind that is for clients to judge
            return 0.0, float("inf")
    found = rehearsing.getpeercert() or {}
    return _seconds(found["notBefore"]), _seconds(found["notAfter"])


def _seconds(date: object) -> float:
    return float(ssl.cert_time_to_seconds(str(date)))


def _choose(client: ssl.SSLObject, name: str | None, tls: Tls) -> None:
    """The certificate for the host that the client calls by `name` (RFC 6066 section 3), where there is one."""
    named = certificates.for_host(tls, name) if name else None
    if named is None:
        return
    try:
        client.context = context(named)
    except Unusable:
        return  # the usual one serves better than none


def _stamp(path: bytes | None) -> "Stamp":
    if path is None:
        return None
    try:
        return files.version(posix.stat(path))
    except OSError:
        return None
