"""Units for systemd: the listener at a socket that systemd binds, or tcpserver, and beside it the warm listener.

tcpserver binds its port itself: behind a socket with Accept=yes a session would know neither its client's address as
tcp-environ(5) has it nor any rules.
"""

import ipaddress
import re
import shutil
from typing import NamedTuple

from qmailfork.cli.services import sandbox, settings
from qmailfork.cli.services.plan import HANDOFF, LISTENER, WARM, Plan
from qmailfork.cli.services.settings import File
from qmailfork.cli.services.values import filled

CONTINUED = " \\\n  "
EVERYWHERE = "0"  # as address
SOCKET = """\
[Unit]
Description=The port of @title@

[Socket]
ListenStream=@listen@
Backlog=1000
@free@
[Install]
WantedBy=sockets.target
"""
SERVICE = """\
# The service @title@ for systemd. After a change here: systemctl daemon-reload; then, and after one in
# @directory@/env: systemctl restart @title@
# @others@
[Unit]
Description=@what@: @title@
@unit@

[Service]
@settings@

# qmail-queue is setuid: nothing may stand here that sets NoNewPrivileges, as most of systemd's sandboxing does.
@sandbox@

[Install]
WantedBy=multi-user.target
"""
RELOADED = "After one in control/: systemctl reload @title@"
AT_ONCE = "One in control/ counts at once."
RULES = "After one in tcp.smtp: make -C @directory@, and nothing more."
RELOAD = ("ExecReload", "/bin/kill -HUP $MAINPID")
GRACEFUL = [RELOAD, ("KillMode", "mixed"), ("TimeoutStopSec", "70")]  # the listener ends its workers, in --grace
BARE = re.compile(r"[\w@+=:,./$%-]+", re.ASCII)
NAME = re.compile(r"[\w:.-]+", re.ASCII)

Setting = tuple[str, str]


class Unit(NamedTuple):
    """What differs: `what` it is, its section Unit, its command line, its user, how it `ends`, its memory in octets."""

    what: str
    unit: list[Setting]
    command: list[list[str]]
    user: str
    ends: list[Setting]
    memory: int


def directories(plan: Plan) -> dict[str, File]:
    """The units of the service and what they go by, by their whole paths."""
    if plan.kind == LISTENER:
        socket = {f"{plan.title}.socket": (_socket(plan), False)}
        return _directory(plan, plan.directory, plan.kind, _listener(plan)) | _placed(plan.directory, socket)
    files = _directory(plan, plan.directory, plan.kind, _tcpserver(plan))
    return files | _directory(plan, plan.warm, WARM, _warm(plan)) if plan.kind == HANDOFF else files


def names(plan: Plan) -> list[str]:
    """The paths of the units, in the order in which they start."""
    service = f"{plan.directory}/{plan.title}.service"
    if plan.kind == LISTENER:
        return [service.removesuffix("service") + "socket", service]
    return [f"{plan.warm}/{plan.title}-warm.service", service] if plan.kind == HANDOFF else [service]


def _directory(plan: Plan, directory: str, kind: str, unit: Unit) -> dict[str, File]:
    title = f"{plan.title}-{WARM}" if kind == WARM else plan.title
    text = filled(
        SERVICE, what=unit.what, unit=_lines(unit.unit), settings=_lines(_settings(plan, title, unit)),
        sandbox=_lines([*sandbox.settings(plan), *_writable(plan)]),
        others="\n# ".join([RELOADED if RELOAD in unit.ends else AT_ONCE, *([] if kind == WARM else [RULES])]),
    )  # fmt: skip
    text = filled(text, title=title, directory=directory)
    return _placed(directory, {f"{title}.service": (text, False), **settings.files(plan, kind)})


def _placed(directory: str, files: dict[str, File]) -> dict[str, File]:
    return {f"{directory}/{name}": file for name, file in files.items()}


def _settings(plan: Plan, title: str, unit: Unit) -> list[Setting]:
    runtime = _runtime(plan, title)
    return [
        *([("User", unit.user)] if unit.user else []),
        *([("RuntimeDirectory", " ".join(runtime))] if runtime else []),
        ("Environment", f"{word(f'QMAILHOME={plan.home}')} {word(f'PATH={plan.path}')}"),
        ("ExecStart", CONTINUED.join(" ".join(map(argument, words)) for words in unit.command if words)),
        *unit.ends,
        ("LimitAS", str(unit.memory)),
        ("SyslogIdentifier", title),
        ("Restart", "always"),
        ("RestartSec", "3"),
        ("RestartPreventExitStatus", "100"),  # a wrong command line, which another try won't mend
    ]


def _listener(plan: Plan) -> Unit:
    command = [
        _environment(plan, plan.directory),
        [_found("qmailfork", plan), "listen", *_served(plan)],
        plan.options.split(),
        [plan.address, plan.port, *plan.wrapped],
    ]
    sockets = [("Requires", f"{plan.title}.socket"), ("After", f"network.target {plan.title}.socket")]
    return Unit("qmailfork listen", sockets, command, plan.user, GRACEFUL, plan.workers_memory)


def _tcpserver(plan: Plan) -> Unit:
    """tcpserver has to be root to bind a port, and becomes another itself."""
    command = [
        _environment(plan, plan.directory),
        [*(["envuidgid", plan.user] if plan.user else []), "tcpserver", *(["-U"] if plan.user else []), *_served(plan)],
        [plan.address, plan.port],
        ["qmailfork-handoff", plan.socket] if plan.kind == HANDOFF else [],
        [plan.python, "-I", "-S", _found("qmailfork-smtpd", plan), *plan.wrapped],
    ]
    unit = [("After", "network.target")]
    if plan.address != EVERYWHERE:  # which has to be there
        unit = [("Wants", "network-online.target"), ("After", "network-online.target")]
    if plan.kind == HANDOFF:
        unit.append(("Wants", f"{plan.title}-{WARM}.service"))
    return Unit("tcpserver", unit, command, "", [("KillMode", "process")], plan.memory)  # open sessions go on


def _warm(plan: Plan) -> Unit:
    command = [
        _environment(plan, plan.warm),
        [_found("qmailfork", plan), "listen", "-c", str(plan.sessions)],
        plan.options.split(),
        ["--handoff", plan.socket],
    ]
    what, unit = "qmailfork listen, for hand-offs", [("After", "network.target")]
    return Unit(what, unit, command, plan.user, GRACEFUL, plan.workers_memory)


def _environment(plan: Plan, directory: str) -> list[str]:
    return [_found("envdir", plan), f"{directory}/env"]


def _served(plan: Plan) -> list[str]:
    """The options that tcpserver and the listener share."""
    name = plan.own_name
    named = ["-l", name] if name else []
    return ["-v", "-h", "-R", *named, "-x", f"{plan.directory}/tcp.smtp.cdb", "-c", str(plan.sessions)]


def _socket(plan: Plan) -> str:
    everywhere = plan.address == EVERYWHERE
    host = f"[{plan.address}]" if ":" in plan.address else plan.address
    listen = plan.port if everywhere else f"{host}:{plan.port}"
    free = "" if everywhere else "FreeBind=yes\n"  # the address may come later
    return filled(SOCKET, title=plan.title, listen=listen, free=free)


def _runtime(plan: Plan, title: str) -> list[str]:
    """Directories that systemd makes below /run for sockets, owned by the user who serves."""
    found = [title] if plan.kind == HANDOFF and title != plan.title else []
    match = re.fullmatch(r"unix:/run/([\w.-]+)/[^/]+", plan.metrics)
    if match and (plan.kind == LISTENER or found):
        found.append(match[1])
    return list(dict.fromkeys(found))


def _writable(plan: Plan) -> list[Setting]:
    paths = " ".join(word(f"-{path}") for path in sandbox.writable(plan))  # -: it may be missing
    return [("ReadWritePaths", paths)] if paths else []


def _lines(found: list[Setting]) -> str:
    return "\n".join(f"{name}={value}" for name, value in found)


def word(text: str) -> str:
    """One word of a setting, as systemd.syntax(7) and systemd.unit(5) have it."""
    text = text.replace("%", "%%")
    return text if BARE.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def argument(text: str) -> str:
    """One word of a command line, in which variables are looked for, too (systemd.service(5))."""
    return word(text.replace("$", "$$"))


def unfit(plan: Plan) -> str:
    """What cannot stand in units, in words (systemd.unit(5), systemd.socket(5)); empty where all can."""
    if not NAME.fullmatch(plan.title):
        return f"DIRECTORY: {plan.title!r} cannot be the name of a unit: letters, digits and :_.- can"
    if plan.kind == LISTENER and not (_is_address(plan.address) and plan.port.isdecimal()):
        return f"--address {plan.address} --port {plan.port}: systemd binds numbers, and looks up no names"
    return ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address("::" if text == EVERYWHERE else text)
    except ValueError:
        return False
    return True


def _found(program: str, plan: Plan) -> str:
    return shutil.which(program, path=plan.path) or f"/usr/bin/{program}"
