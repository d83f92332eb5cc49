"""What a listener was told: tcpserver's options and its own."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    Network = IPv4Network | IPv6Network


class Options:
    """tcpserver's options by what they mean, and ours.

    `verbosity` is 0 for -q, 1 for -Q, 2 for -v; `limit` the sessions at once (-c); `rules` the cdb (-x, None: none),
    `rules_optional` -X; `banner` (-B); `local_name` (-l, None: ask DNS); `look_up_host` (-h), `paranoid` (-p),
    `ident_seconds` (-t; 0 for -R); `keep_ip_options` (-o); `per_ip` sessions of one address (0: no limit);
    `most_octets` of one session (0: no limit); `grace` seconds for open sessions after SIGTERM (0: no limit);
    `workers` how many processes; `loop` the kind of event loop (auto, asyncio, uvloop); `smtps` for TLS
    from the first octet; `proxies` the networks of load balancers, whose PROXY header may take `proxy_seconds`;
    `program` the smtpd to stand in front of, and its arguments (empty: none).
    """

    __slots__ = (
        "banner", "grace", "ident_seconds", "keep_ip_options", "limit", "local_name", "look_up_host", "loop",
        "most_octets", "paranoid", "per_ip", "program", "proxies", "proxy_seconds", "rules", "rules_optional", "smtps",
        "verbosity", "workers",
    )  # fmt: skip

    def __init__(self) -> None:
        self.verbosity = 1
        self.limit = 40
        self.rules: bytes | None = None
        self.rules_optional = False
        self.banner = b""
        self.local_name: bytes | None = None
        self.look_up_host = True
        self.paranoid = False
        self.ident_seconds = 26.0
        self.keep_ip_options = False
        self.per_ip = 0
        self.most_octets = 0
        self.grace = 60.0
        self.workers = 1
        self.loop = "auto"
        self.smtps = False
        self.proxies: list[Network] = []
        self.proxy_seconds = 10.0
        self.program: list[bytes] = []
