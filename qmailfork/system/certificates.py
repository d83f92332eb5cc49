"""Which certificate a session has, and whether it may be one; without ssl, which a session in plain cannot afford.

The files are where qmail's TLS patch has them, the variables s/qmail's (qmailfork-control(5)).
"""

import posix

from qmailfork.conversation.settings import ControlFault, Tls
from qmailfork.system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_ASKS, _DEMANDS, _REQUIRED = (b"?", b"@"), b"@", b"!"  # UCSPITLS


class Unusable(Exception):
    """A certificate cannot be used; the text names the file and says why."""


def settings(home: bytes, said: tuple[bytes, frozenset[bytes]], environment: "Mapping[bytes, bytes]") -> Tls:
    """What a session with this `environment` goes by; `said` are tlsserverciphers and tlsclients."""
    get = environment.get
    control = home + b"/control/"
    tls = Tls()
    tls.certificate = _path(home, get(b"CERTFILE")) or control + b"servercert.pem"
    tls.key = _path(home, get(b"KEYFILE")) or _there(control + b"serverkey.pem") or tls.certificate
    tls.dh = _path(home, get(b"DHFILE")) or _there(control + b"dhparam.pem")
    ciphers, tls.clients = said
    tls.ciphers = get(b"CIPHERS") or ciphers
    level = get(b"UCSPITLS", b"")
    tls.demands_client = level == _DEMANDS
    ca = _path(home, get(b"CAFILE")) or _there(control + b"clientca.pem")
    tls.ca = ca if tls.clients or level in _ASKS else None
    tls.required = level == _REQUIRED or is_on(get(b"FORCETLS")) or is_on(get(b"TLSREQUIRED"))
    tls.at_once = is_on(get(b"SMTPS"))
    tls.done = b"SSL_PROTOCOL" in environment
    tls.barred = level == b"-" or is_on(get(b"DISABLETLS"))
    tls.server = _server(environment) if b"UCSPITLS" in environment else None
    tls.fault = lambda: b"" if tls.server else fault(tls.certificate, tls.key)
    return tls


def is_on(value: bytes | None) -> bool:
    """Whether a switch is on: set, and neither to nothing nor to 0."""
    return value not in (None, b"", b"0")


def _path(home: bytes, path: bytes | None) -> bytes | None:
    """`path`, relative to qmail's home."""
    return path if not path or path.startswith(b"/") else home + b"/" + path


def _there(path: bytes) -> bytes | None:
    return path if posix.access(path, posix.F_OK) else None


def _server(environment: "Mapping[bytes, bytes]") -> tuple[int, int, int] | None:
    """The descriptors by which sslserver -n starts TLS itself: control, reading, writing (ucspi-tls(2))."""
    told = [environment.get(name, b"") for name in (b"SSLCTLFD", b"SSLREADFD", b"SSLWRITEFD")]
    if not all(number.isdigit() and len(number) < 10 for number in told):
        return None
    control, reading, writing = map(int, told)
    return control, reading, writing


def fault(certificate: bytes, key: bytes) -> bytes:
    """Why these files cannot be a certificate and its key at all; empty where they may be."""
    for path, mark, what in (
        (certificate, b"-----BEGIN CERTIFICATE-----", b"certificate"),
        (key, b"PRIVATE KEY-----", b"private key"),
    ):
        try:
            text = files.read(path)
        except ControlFault as unreadable:
            return str(unreadable).encode(errors="surrogateescape")
        if text is None:
            return path + b": no such file"
        if mark not in text:
            return path + b": holds no " + what
    return b""


def for_host(tls: Tls, name: str) -> Tls | None:
    """`tls` with the certificate that is kept for the host `name` beside the usual one, None where there is none.

    For servercert.pem that is servercert.NAME.pem, with its key in serverkey.NAME.pem or in the same file.
    """
    name = name.lower().rstrip(".")
    if not name or not _HOST.issuperset(name) or name.startswith("."):
        return None
    certificate = _there(_beside(tls.certificate, name))
    if certificate is None:
        return None
    named = Tls()
    for each in Tls.__slots__:
        setattr(named, each, getattr(tls, each))
    named.certificate = certificate
    named.key = _there(_beside(tls.key, name)) or certificate
    return named


def _beside(path: bytes, name: str) -> bytes:
    directory, slash, file = path.rpartition(b"/")
    stem, dot, ending = file.rpartition(b".")
    stem, ending = (stem, dot + ending) if dot else (file, b"")
    return directory + slash + stem + b"." + name.encode() + ending
