"""What sessions that the rules treat alike have in common, made once for all of them."""

from qmailfork.conversation.settings import Peer
from qmailfork.drivers.worker.tcpserver import Client
from qmailfork.system import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmailfork.system.config import Controls

_TCP = (b"PROTO", b"TCPLOCALIP", b"TCPLOCALPORT", b"TCPLOCALHOST", b"TCPREMOTEIP", b"TCPREMOTEPORT", b"TCPREMOTEHOST",
        b"TCPREMOTEINFO")  # fmt: skip


class Profile:
    """The `settings` and log `style` under one environment of the rules."""

    __slots__ = ("_base", "_rule", "_told", "settings", "style")

    def __init__(self, controls: "Controls", base: "Mapping[bytes, bytes]", rule: "Mapping[bytes, bytes]") -> None:
        self._base = {name: value for name, value in base.items() if name not in _TCP}
        self._rule = rule
        self._told = any(name in rule for name in _TCP)
        environment = {**self._base, **rule}
        self.settings = config.settings(controls, environment)
        self.style = config.style(environment)

    def environment(self, client: Client, local: tuple[bytes | None, bytes, int]) -> dict[bytes, bytes]:
        """tcp-environ(5) for `client`, under what the rules say."""
        name, ip, port = local
        variables = {
            **self._base,
            b"PROTO": b"TCP6" if b":" in client.ip else b"TCP",
            b"TCPLOCALIP": ip,
            b"TCPLOCALPORT": b"%d" % port,
            b"TCPREMOTEIP": client.ip,
            b"TCPREMOTEPORT": b"%d" % client.port,
        }
        if name is not None:
            variables[b"TCPLOCALHOST"] = name
        if client.host is not None:
            variables[b"TCPREMOTEHOST"] = client.host
        if client.info is not None:
            variables[b"TCPREMOTEINFO"] = client.info
        variables.update(self._rule)
        return variables

    def peer(self, client: Client, local: tuple[bytes | None, bytes, int]) -> Peer:
        """The client as the conversation sees it."""
        if self._told:
            return config.peer(self.environment(client, local))
        name, ip, _ = local
        return Peer(client.ip, client.host or b"unknown", client.info, ip if name is None else name)
