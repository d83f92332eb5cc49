"""What a systemd unit takes away from its programs: memory, and the way to a setuid qmail-queue."""

import os
import stat
from collections.abc import Iterator

from qmailfork.cli.checks.started import Started
from qmailfork.cli.finding import ERROR, Finding

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
OFF = ("", "no", "false", "off", "0", "n", "f")
UNPRIVILEGED = "NoNewPrivileges"
IMPLYING = (  # where User= is set, each of these sets it, too: systemd.exec(5)
    "DynamicUser", "LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock", "ProtectHostname",
    "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "RestrictAddressFamilies",
    "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter",
    "SystemCallLog",
)  # fmt: skip


def limits(script: Started) -> Iterator[tuple[str, int]]:
    """The limits on memory, in octets, by the setting's name."""
    for name in ("LimitAS", "LimitDATA"):
        value = script.settings.get(name, "").partition(":")[0]
        number, unit = value.rstrip("KMGT"), value[-1:]
        if number.isdecimal():
            yield f"{name}=", int(number) * UNITS.get(unit, 1)


def privileges(script: Started, queue: bytes) -> Iterator[Finding]:
    """The settings that keep the program `queue` from becoming who may write to the queue."""
    try:
        is_setuid = bool(os.stat(queue).st_mode & stat.S_ISUID)
    except OSError:
        return
    if not is_setuid:
        return
    for name in (UNPRIVILEGED, *(IMPLYING if script.user else ())):
        if script.settings.get(name, "").lower() not in OFF:
            what = f"{name}= keeps {os.fsdecode(queue)} from becoming another user, which is setuid for that"
            why = "no message can be queued: every one is deferred"
            yield Finding(ERROR, str(script.file), what, why, f"take {name}= out")
