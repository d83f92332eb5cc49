"""What a service shall be: the answers and options of `qmailfork service`."""

import os
from dataclasses import dataclass, field

STDIO, LISTENER, HANDOFF = "stdio", "listener", "handoff"
KINDS = (STDIO, LISTENER, HANDOFF)
WARM = "warm"  # the listener that hand-offs go to
SMTP, SMTPS, SUBMISSION = "25", "465", "587"
WORKERS_MEMORY = 400_000_000  # octets, at least: a worker holds many sessions
PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True)
class Plan:
    """One service.

    `directory` is its whole path; `supervisor` and `kind` are names; `wrapped` the smtpd to stand in front of, with
    its arguments; `user` serves and `log_user` writes below `log_directory` (empty: whoever runs the supervisor);
    `memory` in octets for each process; `relays` are tcprules' addresses of those who may relay; `checkers` is
    SMTPEXTFORK's list; `variables` go into the env-dir beside it; `smtps` is TLS from the first octet; `python` runs
    the server and `programs` are the directories of qmailfork's own; `metrics` is where a listener tells what it
    counts, empty: nowhere.
    """

    directory: str
    supervisor: str
    kind: str
    python: str
    programs: tuple[str, ...]
    wrapped: tuple[str, ...] = ()
    home: str = "/var/qmail"
    name: str = ""
    address: str = "0"
    port: str = SMTP
    user: str = "qmaild"
    log_user: str = "qmaill"
    log_directory: str = ""
    sessions: int = 100
    memory: int = 80_000_000
    relays: tuple[str, ...] = ("127.",)
    checkers: str = "/usr/bin/true"
    smtps: bool = False
    metrics: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name of the service: its directory's."""
        return os.path.basename(self.directory)

    @property
    def logs(self) -> str:
        """The directory of its log."""
        return self.log_directory or f"/var/log/qmail/{self.title}"

    @property
    def own_name(self) -> str:
        """This host's name, as control/me has it now; empty where there is none yet."""
        try:
            with open(f"{self.home}/control/me", encoding="utf-8", errors="replace") as file:
                return file.readline().split()[0]
        except (OSError, IndexError):
            return ""

    @property
    def workers_memory(self) -> int:
        """Octets for each process of a listener."""
        return max(self.memory, WORKERS_MEMORY)

    @property
    def options(self) -> str:
        """More of the listener's options, as words with blanks between."""
        return f"--metrics {self.metrics}" if self.metrics else ""

    @property
    def warm(self) -> str:
        """The directory of the listener that hand-offs go to."""
        return f"{self.directory}-warm"

    @property
    def socket(self) -> str:
        """Where hand-offs go to."""
        return f"/run/{self.title}-{WARM}/smtpd" if self.supervisor == "systemd" else f"{self.warm}/socket/smtpd"

    @property
    def path(self) -> str:
        """What PATH has to be for the programs to be found."""
        found = [*self.programs, f"{self.home}/bin", *PLACES]
        return ":".join(dict.fromkeys(found))
