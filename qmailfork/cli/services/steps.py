"""What is missing on this host for a service, and what is to be done next, as commands."""

import os
import pwd
import shlex
import shutil
import sys

from qmailfork.cli import metering
from qmailfork.cli.checks import maildir
from qmailfork.cli.services import rcscript, units
from qmailfork.cli.services.plan import HANDOFF, LISTENER, Plan
from qmailfork.cli.services.supervisors import PACKAGES, RC, SUPERVISORS, SYSTEMD

DEBIAN, FREEBSD = 0, 1
CHECKPASSWORD, PASSWORDS = "checkpassword-file", "control/passwords"  # the second below qmail's home
HANDOFF_MADE = "make -C contrib/handoff install"


def programs(plan: Plan) -> list[str]:
    """What the service runs, besides qmailfork's own."""
    if plan.supervisor == SYSTEMD:
        return [*_served(plan), "tcprules", "envdir", *(["envuidgid"] if plan.user and plan.kind != LISTENER else [])]
    if plan.supervisor == RC:
        return ["tcprules", "envdir", "envuidgid", "setuidgid", "multilog"]
    needs = ["tcprules", *SUPERVISORS[plan.supervisor].needs]
    return [*_served(plan), *needs]


def _served(plan: Plan) -> list[str]:
    """What each session comes through."""
    return {LISTENER: [], HANDOFF: ["tcpserver", "qmailfork-handoff"]}.get(plan.kind, ["tcpserver"])


def missing(plan: Plan) -> dict[str, str]:
    """What is not there, and the command that brings it."""
    absent = [name for name in programs(plan) if shutil.which(name, path=f"{plan.path}:{os.defpath}") is None]
    found = {name: HANDOFF_MADE if name == "qmailfork-handoff" else _installing(name) for name in absent}
    for user in dict.fromkeys(filter(None, (plan.user, plan.log_user if plan.supervisor != SYSTEMD else ""))):
        if not _is_user(user):
            found[f"user {user}"] = _adding(user)
    if plan.metrics and metering.is_missing():
        found[f"{metering.PACKAGE}, for --metrics"] = metering.INSTALLING
    return found


def _installing(program: str) -> str:
    package = PACKAGES[program][FREEBSD if _is_freebsd() else DEBIAN]
    return f"pkg install {package}" if _is_freebsd() else f"apt-get install {package}"


def _adding(user: str) -> str:
    if _is_freebsd():
        return f"pw useradd {user} -d /nonexistent -s /usr/sbin/nologin"
    return f"useradd --system --no-create-home --shell /usr/sbin/nologin {user}"


def _is_freebsd() -> bool:
    return sys.platform.startswith("freebsd")


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def following(plan: Plan, compiled: bool) -> list[str]:
    """Commands, in their order, that bring the service up."""
    quoted = shlex.quote(plan.directory)
    commands = [*_controls(plan), *_maildir(plan), *_logins(plan)]
    if not compiled:
        commands.append(f"make -C {quoted}")
    commands.append(f"{_own(plan)} check {quoted}")
    if plan.supervisor == SYSTEMD:
        paths = units.names(plan)
        names = " ".join(map(os.path.basename, paths))
        commands += [f"systemctl enable {shlex.join(paths)}", f"systemctl start {names}"]
        return [*commands, f"systemctl status {names}"]
    if plan.supervisor == RC:
        name = rcscript.name(plan)
        linked = f"ln -s {quoted}/{name} {rcscript.PLACE}/"
        return [
            *commands,
            linked,
            f"sysrc {name}_enable=YES",
            *(f"service {name} {word}" for word in ("start", "status")),
        ]
    supervisor = SUPERVISORS[plan.supervisor]
    place = next((there for there in supervisor.scanned if os.path.isdir(there)), supervisor.scanned[0])
    for directory in (plan.warm, plan.directory) if plan.kind == HANDOFF else (plan.directory,):
        link = f"{place}/{os.path.basename(directory)}"
        if os.path.realpath(link) != os.path.realpath(directory):
            commands.append(f"ln -s {shlex.quote(directory)} {shlex.quote(link)}")
    if plan.supervisor == "s6":
        commands.append(f"s6-svscanctl -a {place}")
    return [*commands, f"{supervisor.status} {shlex.quote(f'{place}/{plan.title}')}"]


def _controls(plan: Plan) -> list[str]:
    """The control files that no service can do without."""
    control = f"{plan.home}/control"
    wanted = {"me": "mail.joedomain.net"}
    if not plan.wrapped:
        wanted["rcpthosts"] = "joedomain.net"
    commands = [f"echo {words} > {shlex.quote(f'{control}/{name}')}" for name, words in wanted.items()
                if not os.path.exists(f"{control}/{name}")]  # fmt: skip
    return commands if os.path.isdir(control) or not commands else [f"mkdir -p {shlex.quote(control)}", *commands]


def _own(plan: Plan) -> str:
    """qmailfork, as a shell finds it here."""
    return "qmailfork" if shutil.which("qmailfork") else shlex.quote(f"{plan.programs[0]}/qmailfork")


def _maildir(plan: Plan) -> list[str]:
    """A Maildir for the user who serves, where it is missing."""
    path = plan.variables.get("QMAILFORK_MAILDIR", "")
    if not path or os.path.isdir(f"{path}/new"):
        return []
    quoted = shlex.quote(path)
    owned = [f"chown -R {shlex.quote(plan.user)} {quoted}"] if plan.user else []
    return [maildir.making(quoted), *owned]


def _logins(plan: Plan) -> list[str]:
    """The certificate and the first user, where people log in by our own checkpassword program."""
    program, _, file = plan.variables.get("QMAILFORK_CHECKPASSWORD", "").partition(" ")
    if file != PASSWORDS:
        return []
    commands = [] if "CERTFILE" in plan.variables else _certificate(f"{plan.home}/control")
    passwords = f"{plan.home}/{file}"
    if not os.path.exists(passwords):
        commands.append(f"{shlex.quote(program)} --add {shlex.quote(passwords)} joe")
        if plan.user:
            commands.append(f"chown {shlex.quote(plan.user)} {shlex.quote(passwords)}")
    return commands


def _certificate(control: str) -> list[str]:
    wanted = {"servercert.pem": "fullchain.pem", "serverkey.pem": "privkey.pem"}
    return [f"cp {source} {shlex.quote(f'{control}/{name}')}" for name, source in wanted.items()
            if not os.path.exists(f"{control}/{name}")]  # fmt: skip
