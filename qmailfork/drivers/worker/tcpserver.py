"""tcpserver's log lines, in its own form (tcpserver(1))."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Local = tuple[bytes | None, bytes, int]  # our name, address and port

CUT = 100  # octets; tcpserver marks what has just so many, too
_CLEAN = bytes(octet if 33 <= octet <= 126 and octet != ord("%") else ord("?") for octet in range(256))


def clean(value: bytes | None) -> bytes:
    """`value` as tcpserver shows it; empty for None."""
    if value is None:
        return b""
    return (value[:CUT] + b"..." if len(value) >= CUT else value).translate(_CLEAN)


def status(sessions: int, limit: int) -> bytes:
    """How many sessions there are of how many there may be."""
    return b"tcpserver: status: %d/%d\n" % (sessions, limit)


def connected(number: int, ip: bytes) -> bytes:
    """A client has connected."""
    return b"tcpserver: pid %d from %b\n" % (number, clean(ip))


def admitted(number: int, allowed: bool, local: "Local", client: "Client") -> bytes:
    """The rules have decided; `local` is our name, address and port."""
    name, ip, port = local
    return b"tcpserver: %b %d %b:%b:%d %b:%b:%b:%d\n" % (
        b"ok" if allowed else b"deny",
        number,
        clean(name),
        clean(ip),
        port,
        clean(client.host),
        clean(client.ip),
        clean(client.info),
        client.port,
    )


def ended(number: int, status: int) -> bytes:
    """A session has ended with the exit `status` (shown as a raw wait status)."""
    return b"tcpserver: end %d status %d\n" % (number, status << 8)


class Client:
    """Who connected: `ip` (decimal), `port`; `host` and `info` None where they are not known.

    Of one behind a load balancer (`proxied`), `facts` are the variables about the TLS that ended there.
    """

    __slots__ = ("facts", "host", "info", "ip", "port", "proxied")

    def __init__(self, ip: bytes, port: int) -> None:
        self.ip = ip
        self.port = port
        self.host: bytes | None = None
        self.info: bytes | None = None
        self.proxied = False
        self.facts: Mapping[bytes, bytes] = {}


def plain(ip: str) -> bytes:
    """An address in its plain form: an IPv4 client of an IPv6 socket is an IPv4 client."""
    return ip.removeprefix("::ffff:").encode() if "." in ip else ip.partition("%")[0].encode()
