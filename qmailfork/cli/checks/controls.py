"""Control files and certificates."""

import os
from collections.abc import Iterator

from qmailfork.cli import words
from qmailfork.cli.finding import ERROR, WARNING, Finding
from qmailfork.conversation.settings import ControlFault, Settings
from qmailfork.system import certificates, files, tls
from qmailfork.system.config import Controls

SOON = 14 * 24 * 3600  # seconds


def domains(controls: Controls) -> Iterator[Finding]:
    """rcpthosts and morercpthosts."""
    if controls.wrapped:
        return
    if controls.rcpthosts is None:
        why = "every recipient of every domain is taken: an open relay"
        yield Finding(ERROR, "control/rcpthosts", "it is not there", why, "write our domains into it, one on a line")
    for line in sorted(controls.rcpthosts or ()):
        if b"@" in line or b" " in line or line.endswith(b"\r") or line.startswith((b"*", b"\xef\xbb\xbf")):
            what = f"{words.shown(line)!r} is no domain"
            mend = "a domain on each line, .domain for all below it"
            yield Finding(WARNING, "control/rcpthosts", what, "no recipient matches it", mend)
    yield from compiled("control/morercpthosts", "control/morercpthosts.cdb", "qmail-newmrh", optional=True)


def compiled(source: str, cdb: str, maker: str, optional: bool = False) -> Iterator[Finding]:
    """A cdb that is missing, or older than its source."""
    if not os.path.exists(source):
        return
    try:
        newer = os.stat(source).st_mtime_ns > os.stat(cdb).st_mtime_ns
    except OSError as fault:
        if not (optional and isinstance(fault, PermissionError)):
            yield Finding(ERROR, cdb, str(fault.strerror), f"{source} does not count without it", f"run {maker}")
        return
    if newer:
        yield Finding(ERROR, source, "the cdb is older", "what was changed does not count", f"run {maker}")


def certificate(settings: Settings, now: float) -> Iterator[Finding]:
    """What would keep TLS from clients."""
    found = settings.tls
    if found is None or found.server or found.done:
        return
    path = os.fsdecode(found.certificate)
    try:
        ends = tls.good_until(found)
    except (certificates.Unusable, ControlFault) as fault:
        text = str(fault)
        why = "no mail is taken at all: TLS is required" if found.required or found.at_once else "nobody can use TLS"
        mend = "see CERTFILE and KEYFILE in qmailfork-control(5)"
        yield Finding(ERROR, path, text.removeprefix(f"{path}: "), why, mend)
        return
    if ends - now < SOON:
        days = int((ends - now) // 86400)
        yield Finding(WARNING, path, f"it expires in {days} days", "after that nobody can use TLS", "renew it")


def readable(path: str, why: str) -> Iterator[Finding]:
    """A file that the service's user has to be able to read."""
    try:
        files.read(os.fsencode(path))
    except ControlFault as fault:
        yield Finding(ERROR, path, str(fault).rpartition(": ")[2], why, f"chmod +r {path}")
