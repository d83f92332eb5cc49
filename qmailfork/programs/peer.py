"""The client of a session."""


class Peer:
    """The client as tcp-environ(5) tells it: `ip`, `host` and `info` (None: no ident answer), and our `local` name.

    `port` is its port, `server` our address and port; empty where they are not known. `session` is a name that no
    other session on this host has had.
    """

    __slots__ = ("host", "info", "ip", "local", "port", "server", "session")

    def __init__(
        self,
        ip: bytes,
        host: bytes,
        info: bytes | None,
        local: bytes,
        port: bytes,
        server: tuple[bytes, bytes],
        session: bytes,
    ) -> None:
        self.ip = ip
        self.host = host
        self.info = info
        self.local = local
        self.port = port
        self.server = server
        self.session = session
