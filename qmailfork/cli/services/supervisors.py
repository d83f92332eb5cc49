"""The supervisors that read a directory with run and log/run: daemontools, runit and s6, as data."""

from typing import NamedTuple


class Supervisor(NamedTuple):
    """What differs between them.

    `settings` stands before the server and gives it env-dir and limit, `as_user` runs a program as $user, `log` writes
    $directory; `scanned` are the directories that are looked at for services, the first one that is there; `restart`,
    `reload` and `status` are commands, without the service; `needs` are programs; `finish` is run after run has ended.
    `ready` goes behind the server's options, `told` behind the whole line, where a server says that it is ready.
    """

    settings: str
    as_user: str
    log: str
    scanned: tuple[str, ...]
    restart: str
    reload: str
    status: str
    needs: tuple[str, ...]
    finish: str = ""
    ready: str = ""
    told: str = ""


RUNIT_FINISH = """#!/bin/sh
# runsv runs this when run has ended, with its exit code. 100 is a wrong command line, which another try won't mend.
[ "$1" != 100 ] || exec sv down .
"""
S6_FINISH = """#!/bin/sh
# s6-supervise runs this when run has ended, with its exit code. 100 is a wrong command line: 125 says not to try again.
[ "$1" != 100 ] || exit 125
"""

SUPERVISORS = {
    "daemontools": Supervisor(
        settings='envdir ./env softlimit -m "$memory"',
        as_user="setuidgid",
        log='multilog t "s$size" "n$files" "$directory"',
        scanned=("/service", "/etc/service", "/var/service"),
        restart="svc -t",
        reload="svc -h",
        status="svstat",
        needs=("envdir", "softlimit", "setuidgid", "multilog", "supervise"),
    ),
    "runit": Supervisor(
        settings='chpst -e ./env -m "$memory"',
        as_user="chpst -u",
        log='svlogd -t "$directory"',
        scanned=("/etc/service", "/var/service", "/service"),
        restart="sv term",
        reload="sv hup",
        status="sv status",
        needs=("chpst", "svlogd", "runsv", "sv"),
        finish=RUNIT_FINISH,
    ),
    "s6": Supervisor(
        settings='s6-envdir ./env s6-softlimit -m "$memory"',
        as_user="s6-setuidgid",
        log='s6-log "n$files" "s$size" t "$directory"',
        scanned=("/run/service", "/var/service", "/service"),
        restart="s6-svc -t",
        reload="s6-svc -h",
        status="s6-svstat",
        needs=("s6-envdir", "s6-softlimit", "s6-setuidgid", "s6-log", "s6-supervise"),
        finish=S6_FINISH,
        ready=" -1",  # the port number on descriptor 1 is what s6 waits for on the one in notification-fd
        told=" >&3 3>&-",
    ),
}
SYSTEMD, RC = "systemd", "rc"
NAMES = [*SUPERVISORS, SYSTEMD, RC]
LISTENERS = {RC: "an rc.d script starts the listener alone; tcpserver wants daemontools, runit or s6"}
PACKAGES = {  # program → what brings it on Debian and on FreeBSD
    **dict.fromkeys(("tcpserver", "tcprules"), ("ucspi-tcp", "ucspi-tcp")),
    **dict.fromkeys((*SUPERVISORS["daemontools"].needs, "envuidgid"), ("daemontools", "daemontools")),
    **dict.fromkeys(SUPERVISORS["runit"].needs, ("runit", "runit")),
    **dict.fromkeys(SUPERVISORS["s6"].needs, ("s6", "s6")),
}
