"""run, log/run and what lies beside them."""

import shlex

from qmailfork.cli.services import settings
from qmailfork.cli.services.plan import HANDOFF, LISTENER, WARM, Plan
from qmailfork.cli.services.settings import File
from qmailfork.cli.services.supervisors import SUPERVISORS, Supervisor
from qmailfork.cli.services.values import assignments, filled

RUN = """\
#!/bin/sh
# The service @title@ for @supervisor@: change the values, leave the rest.
# After a change here or in env/: @restart@ @directory@
# After one in tcp.smtp: make, and nothing more. @reload@
set -eu
exec 2>&1

@values@

PATH=@path@
export PATH QMAILHOME
@prepare@

# After the env-dir no shell may come: some drop the variables whose names begin with a digit, like 554SMTPEXTFORK.
exec @settings@ \\
@server@
"""
TCPSERVER = """\
  tcpserver@ready@ -v $lookups -l "$name" -x tcp.smtp.cdb -c "$sessions" \\
    ${user:+-u "$(id -u "$user")" -g "$(id -g "$user")"} "$address" "$port" \\
  @program@@told@"""
LISTEN = """\
  qmailfork listen@ready@ -v $lookups -l "$name" -x tcp.smtp.cdb -c "$sessions" ${metrics:+--metrics "$metrics"} \\
    ${user:+-u "$(id -u "$user")" -g "$(id -g "$user")"} "$address" "$port"@program@@told@"""
WARM_LISTENER = """\
  ${user:+@as_user@ "$user"} qmailfork listen@ready@ -c "$sessions" \\
    ${metrics:+--metrics "$metrics"} --handoff socket/smtpd@told@"""
FIND_SMTPD = """\
smtpd=$(command -v qmailfork-smtpd) || { echo "run: no qmailfork-smtpd in $PATH"; exit 111; }
"""
FIND_LISTENER = """\
command -v qmailfork >/dev/null || { echo "run: no qmailfork in $PATH"; exit 111; }
"""
NAME = """name=$(head -n 1 "$QMAILHOME/control/me") || exit 111"""
SOCKET = """mkdir -p socket
[ -z "$user" ] || chown "$user" socket  # it makes its socket in there, which nobody else may do"""
LOG = """\
#!/bin/sh
# The log of the service @title@, in files that rotate.@hint@
set -eu

@values@

PATH=@path@
export PATH
[ -d "$directory" ] || { mkdir -p "$directory"; [ -z "$user" ] || chown "$user" "$directory"; }
@prepare@exec ${user:+@as_user@ "$user"} @log@
"""
MULTILOG_HINT = """
# A second log of what was refused: add  '-*' '+* qmail-smtpd: pid * Reject::*' ./refused  at the end."""
SVLOGD_CONFIG = """\
[ -e "$directory/config" ] || printf 's%s\\nn%s\\n' "$size" "$files" > "$directory/config"
"""
METRICS = "what is counted is told there, unix:PATH or HOST:PORT; empty: nowhere"
LOOKUPS = "-h, -H: client's name from DNS, or not; -p: and prove it; -R: no ident"


def directories(plan: Plan) -> dict[str, File]:
    """Every file of the service, by its whole path."""
    files = _directory(plan, plan.directory, plan.kind)
    if plan.kind == HANDOFF:
        files |= _directory(plan, plan.warm, WARM)
    return files


def _directory(plan: Plan, directory: str, kind: str) -> dict[str, File]:
    supervisor = SUPERVISORS[plan.supervisor]
    files = {"run": (_run(plan, supervisor, directory, kind), True), "log/run": (_log(plan, supervisor, kind), True)}
    if supervisor.finish:
        files["finish"] = supervisor.finish, True
    if supervisor.told:
        files["notification-fd"] = "3\n", False
    return {f"{directory}/{name}": file for name, file in (files | settings.files(plan, kind)).items()}


def _run(plan: Plan, supervisor: Supervisor, directory: str, kind: str) -> str:
    servers = {LISTENER: (LISTEN, FIND_LISTENER + NAME), WARM: (WARM_LISTENER, FIND_LISTENER + SOCKET)}
    server, prepare = servers.get(kind, (TCPSERVER, FIND_SMTPD + NAME))
    text = filled(
        RUN, settings=supervisor.settings, server=server, prepare=prepare, values=_values(plan, kind),
        title=plan.title, supervisor=plan.supervisor, directory=directory, path=shlex.quote(plan.path) + ":$PATH",
        restart=supervisor.restart, reload=_reload(supervisor, directory, kind),
    )  # fmt: skip
    return filled(
        text, ready=supervisor.ready, told=supervisor.told, as_user=supervisor.as_user, program=_program(plan, kind)
    )  # fmt: skip


def _reload(supervisor: Supervisor, directory: str, kind: str) -> str:
    if kind in (LISTENER, WARM):
        return f"After one in control/: {supervisor.reload} {directory}"
    return "One in control/ counts at once."


def _program(plan: Plan, kind: str) -> str:
    wrapped = "".join(f" {shlex.quote(word)}" for word in plan.wrapped)
    if kind == LISTENER:
        return wrapped
    smtpd = '"$python" -I -S "$smtpd"'  # -I -S save a session a quarter of its start
    return f"qmailfork-handoff {shlex.quote(plan.socket)} {smtpd}" if kind == HANDOFF else smtpd + wrapped


def _values(plan: Plan, kind: str) -> str:
    served = kind != WARM
    warm = kind in (LISTENER, WARM)
    memory = plan.workers_memory if warm else plan.memory
    values = [("QMAILHOME", plan.home, "qmail's home: control/ is read there, checkers and qmail-queue run there")]
    if served:
        values += [("address", plan.address, "where to listen, 0: at every address"), ("port", plan.port, "")]
    values += [
        ("user", plan.user, "who serves; empty: whoever runs the supervisor"),
        ("sessions", str(plan.sessions), "at the same time"),
        ("memory", str(memory), "octets for each process: workers, and your checkers" if warm
         else "octets for each process of a session, your checkers too"),
    ]  # fmt: skip
    if served:
        values.append(("lookups", "-h -R", LOOKUPS))
    if warm:
        values.append(("metrics", plan.metrics, METRICS))
    else:
        values.append(("python", plan.python, "Python 3.11 or later"))
    return assignments(values)


def _log(plan: Plan, supervisor: Supervisor, kind: str) -> str:
    runit = "svlogd" in supervisor.log
    logs = plan.logs if kind != WARM else f"{plan.logs}-warm"
    values = [
        ("user", plan.log_user, "who writes; empty: whoever runs the supervisor"),
        ("directory", logs, ""),
        ("size", "1000000", "octets in one file" + ("; once made, the log's own config says it" if runit else "")),
        ("files", "20", ""),
    ]
    return filled(
        LOG, title=plan.title, hint=MULTILOG_HINT if "multilog" in supervisor.log else "", values=assignments(values),
        as_user=supervisor.as_user, log=supervisor.log, path=shlex.quote(plan.path) + ":$PATH",
        prepare=SVLOGD_CONFIG if runit else "",
    )  # fmt: skip
