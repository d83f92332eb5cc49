"""What a unit takes away from its programs, but never the way to qmail-queue, which is setuid.

Most of systemd's sandboxing implies NoNewPrivileges for a service with User= (systemd.exec(5)): nothing would be
queued. What stands here does not: mounts, devices, and capabilities that no mail server has a use for.
"""

import os

from qmailfork.cli.services.plan import Plan

READ_ONLY = ("/usr/", "/boot/", "/efi/", "/etc/", "/home/", "/root/", "/run/user/")  # by the first two of the settings
SHARED = ("/tmp/", "/var/tmp/")
UNUSED = """\
CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_BPF CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_MKNOD CAP_NET_ADMIN CAP_NET_RAW \\
  CAP_PERFMON CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_MODULE CAP_SYS_PTRACE CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYSLOG"""


def settings(plan: Plan) -> list[tuple[str, str]]:
    """The settings of a unit's section Service, as pairs."""
    found = [("ProtectSystem", "full"), ("ProtectHome", "read-only"), ("ProtectControlGroups", "yes")]
    if not any(directory in text for text in _texts(plan) for directory in SHARED):
        found.append(("PrivateTmp", "yes"))
    found += [("DevicePolicy", "closed"), ("CapabilityBoundingSet", "~" + UNUSED)]
    return found


def writable(plan: Plan) -> list[str]:
    """What is written to although the rest of its file system is read-only: where the queue is, and sockets."""
    metrics = os.path.dirname(plan.metrics.removeprefix("unix:"))
    wanted = dict.fromkeys([plan.home, plan.variables.get("QMAILFORK_MAILDIR", ""), metrics])
    return [path for path in wanted if path.startswith(READ_ONLY)]


def _texts(plan: Plan) -> list[str]:
    """Whatever may name a file."""
    texts = [plan.directory, plan.home, plan.metrics, plan.python, plan.checkers, *plan.programs, *plan.wrapped]
    return [f"{text}/" for text in (*texts, *plan.variables.values())]
