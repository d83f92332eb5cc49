"""A systemd unit and its socket: systemd binds the port, so that no connection is lost between two servers."""

import re
import shutil

from qmailfork.cli.services import settings
from qmailfork.cli.services.plan import Plan
from qmailfork.cli.services.settings import File
from qmailfork.cli.services.values import filled

MEMORY = 400_000_000  # octets: a worker holds many sessions
SOCKET = """\
[Unit]
Description=The port of @title@

[Socket]
ListenStream=@listen@
Backlog=1000

[Install]
WantedBy=sockets.target
"""
SERVICE = """\
# qmail-queue is setuid: nothing may stand here that sets NoNewPrivileges, as most of systemd's sandboxing does.
[Unit]
Description=qmailfork listen: @title@
Requires=@title@.socket
After=network.target @title@.socket

[Service]
@user@@runtime@Environment="QMAILHOME=@home@" "PATH=@path@"
ExecStart=@envdir@ @directory@/env @qmailfork@ listen -v -h -R @name@-x @directory@/tcp.smtp.cdb \
-c @sessions@@options@ @address@ @port@@wrapped@
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
TimeoutStopSec=70
LimitAS=@memory@
Restart=always

[Install]
WantedBy=multi-user.target
"""


def directory(plan: Plan) -> dict[str, File]:
    """The unit, its socket, and what they go by, by their whole paths."""
    listen = plan.port if plan.address == "0" else f"{plan.address}:{plan.port}"
    unit = filled(
        SERVICE, user=f"User={plan.user}\n" if plan.user else "", home=plan.home, path=plan.path,
        envdir=_found("envdir", plan), qmailfork=_found("qmailfork", plan), sessions=str(plan.sessions),
        options=f" {plan.options}" if plan.options else "", runtime=_runtime(plan.metrics),
        name=f"-l {own_name(plan)} " if own_name(plan) else "", address=plan.address, port=plan.port,
        wrapped="".join(f" {word}" for word in plan.wrapped), memory=str(max(plan.memory, MEMORY)), title=plan.title,
        directory=plan.directory,
    )  # fmt: skip
    files = {
        f"{plan.title}.service": (unit, False),
        f"{plan.title}.socket": (filled(SOCKET, title=plan.title, listen=listen), False),
        **settings.files(plan, plan.kind),
    }
    return {f"{plan.directory}/{name}": file for name, file in files.items()}


def _runtime(metrics: str) -> str:
    """The directory below /run that systemd makes for a socket of --metrics, owned by the user who serves."""
    match = re.fullmatch(r"unix:/run/([\w.-]+)/[^/]+", metrics)
    return f"RuntimeDirectory={match[1]}\n" if match else ""


def _found(program: str, plan: Plan) -> str:
    return shutil.which(program, path=plan.path) or f"/usr/bin/{program}"


def own_name(plan: Plan) -> str:
    """This host's name, as control/me has it now."""
    try:
        with open(f"{plan.home}/control/me", encoding="utf-8", errors="replace") as file:
            return file.readline().split()[0]
    except (OSError, IndexError):
        return ""
