"""An rc.d script for FreeBSD's rc(8), which starts the listener in the background (rc.subr(8))."""

import re
import shutil

from qmailfork.cli.services import settings
from qmailfork.cli.services.plan import Plan
from qmailfork.cli.services.settings import File
from qmailfork.cli.services.values import filled

PLACE = "/usr/local/etc/rc.d"
UNFIT = re.compile(r"[^\w./:,+@%=-]")  # what rc.subr would take apart or expand
SCRIPT = """\
#!/bin/sh
#
# PROVIDE: @name@
# REQUIRE: LOGIN
# KEYWORD: shutdown
#
# The service @title@ for rc(8). Change nothing here: any of the values below may stand in rc.conf(5) instead.
# After a change there or in env/: service @name@ restart
# After one in tcp.smtp: make, and nothing more. After one in control/: service @name@ reload
#
# flags are more of qmailfork-listen(8)'s options; lookups -h, -H: client's name from DNS, or not, -p: and prove it,
# -R: no ident; limits are those of limits(1) for each process: workers, and your checkers.

. /etc/rc.subr

name=@name@
desc="@title@: qmailfork listen"
rcvar=@name@_enable

load_rc_config $name

: ${@name@_enable:=NO}
: ${@name@_flags:=@options@}
: ${@name@_address:=@address@}
: ${@name@_port:=@port@}
: ${@name@_sessions:=@sessions@}
: ${@name@_lookups:="-h -R"}
: ${@name@_limits:="-v @memory@m"}
: ${@name@_pidfile:=/var/run/@name@.pid}
: ${@name@_log:=@log@}

# Not @name@_user and @name@_env: rc.subr would go through su and sh, which drops names that begin with a digit.
runas=@user@
logger=@log_user@
directory=@directory@
qmailfork=@qmailfork@
QMAILHOME=@home@
PATH=@path@
export QMAILHOME PATH

pidfile=$@name@_pidfile
required_dirs="$directory/env"
required_files="$QMAILHOME/control/me $directory/tcp.smtp.cdb"
extra_commands=reload
start_precmd=prepare
start_postcmd=await
stop_postcmd=tidy

# The process is a script's: rc.subr knows it by its interpreter and its own path.
procname=$qmailfork
read -r command_interpreter < "$qmailfork"
command_interpreter=${command_interpreter#??}
command_interpreter=${command_interpreter%% *}

command=@command@
command_args="@settings@ $qmailfork listen @become@-v $@name@_lookups @hostname@-x $directory/tcp.smtp.cdb \\
  -c $@name@_sessions --daemon --pid-file $pidfile $@name@_flags $@name@_address $@name@_port@wrapped@ \\
  2>&1 | @as_logger@multilog t s1000000 n20 $@name@_log >/dev/null 2>&1 &"

prepare()
{
	rc_flags=  # they stand behind the word listen already
	[ -d "$@name@_log" ] || mkdir -p "$@name@_log" || return 1
	[ -z "$logger" ] || chown "$logger" "$@name@_log" || return 1
	: > "$pidfile" || return 1
	[ -z "$runas" ] || chown "$runas" "$pidfile"  # the listener writes it, and is not root any more
}

await()
{
	tries=200
	until [ -s "$pidfile" ]; do
		tries=$((tries - 1))
		if [ $tries = 0 ]; then
			warn "$name does not listen: see $@name@_log/current"
			return 1
		fi
		sleep 0.1
	done
}

tidy()
{
	rm -f "$pidfile"
}

run_rc_command "$1"
"""


def name(plan: Plan) -> str:
    """The name that rc(8) has for it: a shell variable's."""
    plain = re.sub(r"\W", "_", plan.title, flags=re.ASCII)
    return plain if plain.startswith("qmailfork") else f"qmailfork_{plain}"


def unfit(plan: Plan) -> str:
    """The first value that cannot stand in such a script, empty where all can."""
    values = [plan.directory, plan.home, plan.logs, plan.user, plan.log_user, plan.address, plan.port, plan.metrics]
    return next((value for value in (*values, *plan.programs, *plan.wrapped) if UNFIT.search(value)), "")


def directory(plan: Plan) -> dict[str, File]:
    """The script, and what it goes by, by their whole paths."""
    host = plan.own_name
    text = filled(
        SCRIPT, title=plan.title, address=plan.address, port=plan.port, sessions=str(plan.sessions), user=plan.user,
        memory=str(plan.workers_memory // 1_000_000), log=plan.logs, log_user=plan.log_user,
        directory=plan.directory, home=plan.home, path=plan.path, name=name(plan),
        qmailfork=_found("qmailfork", plan), command=_found("envuidgid" if plan.user else "envdir", plan),
        settings="$runas envdir $directory/env" if plan.user else "$directory/env", become="-U " if plan.user else "",
        hostname=f"-l {host} " if host else "", wrapped="".join(f" {word}" for word in plan.wrapped),
        options=f'"{plan.options}"' if plan.options else "", as_logger="setuidgid $logger " if plan.log_user else "",
    )  # fmt: skip
    files = {name(plan): (text, True), **settings.files(plan, plan.kind)}
    return {f"{plan.directory}/{file}": written for file, written in files.items()}


def _found(program: str, plan: Plan) -> str:
    return shutil.which(program, path=plan.path) or f"/usr/local/bin/{program}"
