"""What sessions that the rules treat alike have in common, made once for all of them."""

import posix

from qmailfork.conversation.settings import ControlFault
from qmailfork.drivers.worker.tcpserver import Client
from qmailfork.programs.peer import Peer
from qmailfork.system import config, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmailfork.drivers.worker.tcpserver import Local
    from qmailfork.programs.journal import Style
    from qmailfork.system.config import Controls

    Environment = Mapping[bytes, bytes]

TCP = frozenset(
    (b"PROTO", b"TCPLOCALIP", b"TCPLOCALPORT", b"TCPLOCALHOST", b"TCPREMOTEIP", b"TCPREMOTEPORT", b"TCPREMOTEHOST",
     b"TCPREMOTEINFO")
)  # fmt: skip
KEPT = 1024  # profiles


def controls_of(home: bytes, program: list[bytes]) -> "Controls":
    """All control files that a session may need, read now: later may be too late. Raises ControlFault."""
    controls = config.Controls(home, program)
    controls.of_tls()
    return controls


class Profile:
    """The `settings` and log `style` under one environment: the `base` with what a `rule` adds; `home` is qmail's."""

    __slots__ = ("_base", "_rule", "_told", "home", "settings", "style")

    def __init__(self, controls: "Controls", base: "Environment", rule: "Environment") -> None:
        self._base = base
        self._rule = rule
        self._told = not TCP.isdisjoint(rule)
        self.home = controls.home
        environment = {**base, **rule}
        self.settings = config.settings(controls, environment)
        self.style = config.style(environment)

    def environment(self, client: Client, local: "Local") -> dict[bytes, bytes]:
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
        variables.update(client.facts)
        variables.update(self._rule)
        return variables

    def peer(self, client: Client, local: "Local") -> Peer:
        """The client as the conversation sees it."""
        if self._told:
            return config.peer(self.environment(client, local))
        name, ip, port = local
        return Peer(
            client.ip,
            client.host or b"unknown",
            client.info,
            ip if name is None else name,
            b"%d" % client.port,
            (ip, b"%d" % port),
            config.unique(),
        )


class Profiles:
    """The profiles in use, over the control files as they were last read; `base` is the worker's own environment,
    `program` the smtpd that is wrapped (empty: none).

    Raises ControlFault where the control files of `base` cannot be read.
    """

    def __init__(self, base: "Environment", program: list[bytes]) -> None:
        self._program = program
        self._base = {name: value for name, value in base.items() if name not in TCP}
        self._controls: dict[bytes, Controls] = {}
        self._known: dict[object, Profile] = {}
        self._homes: dict[bytes, int] = {}
        self._read(config.home(base))

    def _read(self, home: bytes) -> "Controls":
        controls = self._controls.get(home)
        if controls is None:
            controls = self._controls[home] = controls_of(home, self._program)
        return controls

    def under(self, rule: object, environment: "Environment") -> Profile:
        """The profile of clients with this `rule` (any key) and what it adds to the environment."""
        profile = self._known.get(rule)
        if profile is None:
            profile = Profile(self._read(config.home({**self._base, **environment})), self._base, environment)
            self._keep(rule, profile)
        return profile

    def directory(self, home: bytes) -> int:
        """A descriptor of the directory `home`, kept open. Raises ControlFault."""
        descriptor = self._homes.get(home)
        if descriptor is None:
            try:
                descriptor = self._homes[home] = posix.open(home, posix.O_RDONLY | posix.O_CLOEXEC)
            except OSError as fault:
                raise files.unreadable(home, fault) from None
        return descriptor

    def style(self, environment: "Environment") -> "Style":
        """The log style of clients to whose environment the rules add this, whatever their control files."""
        return config.style({**self._base, **environment})

    def of(self, environment: "Environment") -> Profile:
        """The profile of a whole `environment` from elsewhere. Raises ControlFault."""
        shared = frozenset((name, value) for name, value in environment.items() if name not in TCP)
        profile = self._known.get(shared)
        if profile is None:
            profile = Profile(self._read(config.home(environment)), dict(shared), {})
            self._keep(shared, profile)
        return profile

    def _keep(self, key: object, profile: Profile) -> None:
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[key] = profile

    def forget(self) -> None:
        """The rules have changed."""
        self._known.clear()

    def reload(self) -> list[str]:
        """Read the control files again: what could not be read, whose old version stays in force."""
        faults = []
        for home in list(self._controls):
            try:
                self._controls[home] = controls_of(home, self._program)
            except ControlFault as fault:
                faults.append(str(fault))
        self._known.clear()
        return faults
