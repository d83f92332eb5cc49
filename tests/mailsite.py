"""A mail site in a directory of its own, and vchkuser run on it by hand, as the real program."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import cdblib

from tests.checkerforms import answer, resident

PROGRAM = Path(__file__).resolve().parents[1] / "contrib" / "checkers" / "vchkuser"
LIBRARIES = ("/usr/lib/*/libnss_wrapper.so", "/usr/local/lib/libnss_wrapper.so", "/usr/lib/libnss_wrapper.so")
WRAPPER = next((str(found) for pattern in LIBRARIES for found in Path("/").glob(pattern[1:])), "")
OWNER = os.getuid() or 65534  # homes must be owned by their users, and a user is not root
VDELIVERMAIL = "| /home/vpopmail/bin/vdelivermail ''"
PASS, REFUSE, DEFER = 0, 100, 101
ACTIONS = {"DUN": PASS, "554": REFUSE, "450": DEFER}  # what a policy server's answer begins with


class MailSite:
    """What vchkuser finds under QMAILHOME, and the variables that it is run with."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {"QMAILHOME": str(home), "PATH": "/usr/bin:/bin"}
        self.control("me", "mx.example.org")
        self.control("rcpthosts", "# what we take", "Example.org", ".example.net ")

    def write(self, name: str, text: str | bytes = "") -> Path:
        """Write a file under QMAILHOME; its directories are made."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def control(self, name: str, *lines: str) -> Path:
        """Write a control file."""
        return self.write(f"control/{name}", "".join(line + "\n" for line in lines))

    def cdb(self, name: str, records: Iterable[tuple[bytes, bytes]]) -> Path:
        """Write a cdb under QMAILHOME."""
        path = self.write(name)
        with path.open("wb") as file, cdblib.Writer(file) as writer:
            for key, value in records:
                writer.put(key, value)
        return path

    def ask(self, recipient: str | bytes | None, *before: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        """Run vchkuser, with the command before in front of it, and return what it did."""
        told = {} if recipient is None else {"REMOTERCPT": os.fsdecode(recipient)}
        full = {**self.env, **told, **env}
        return subprocess.run([*before, sys.executable, "-I", str(PROGRAM)], env=full, capture_output=True, check=False)

    def code(self, recipient: str | bytes | None, *before: str, **env: str) -> int:
        """Run vchkuser and return its exit code; a traceback is a failure whatever the code."""
        done = self.ask(recipient, *before, **env)
        for word in (b"Traceback", b"internal error"):
            assert word not in done.stderr, done.stderr.decode()
        return done.returncode

    def resident(self, *recipients: str | bytes, **env: str) -> list[int]:
        """Ask one resident vchkuser about each recipient; return its answers as exit codes."""
        codes = []
        with resident(PROGRAM, {**self.env, **env}) as server, server.connect() as connection:
            for recipient in recipients:
                octets = os.fsencode(recipient)
                connection.sendall(b"request=smtpd_access_policy\nrecipient=" + octets + b"\n\n")
                codes.append(ACTIONS[answer(connection)[:3]])
        assert "internal error" not in server.log, server.log
        return codes


def qmail_site(home: Path) -> MailSite:
    """Return a site with the users joe, joe-sub and alias, and vpopmail's domain v.example."""
    site = MailSite(home)
    site.control("locals", "mx.example.org", "Local.example")
    site.control("rcpthosts", "local.example", "v.example", "alias.example", "virtual.example", "elsewhere.example")
    site.control("virtualdomains", "v.example:v.example", "Alias.example:alias.example", "virtual.example:joe-virtual")
    users(site)
    vpopmail(site)
    return site


def users(site: MailSite) -> None:
    """Give the site an account database: nss_wrapper is told of it, and preloaded."""
    names = {
        "alias": "alias",
        "joe": "home/joe",
        "joe-sub": "home/joe-sub",
        "homeless": "home/none",
        "Upper": "home/joe",
    }
    lines = [f"{name}:x:{OWNER}:{OWNER}::{site.home}/{home}:/bin/sh" for name, home in names.items()]
    lines += [
        f"root:x:0:0::{site.home}/home/root:/bin/sh",
        f"thief:x:{OWNER + 1}:1::{site.home}/home/joe:/bin/sh",
    ]
    site.env.update(
        LD_PRELOAD=WRAPPER,
        NSS_WRAPPER_PASSWD=str(site.write("passwd", "\n".join(lines) + "\n")),
        NSS_WRAPPER_GROUP=str(site.write("group", "")),
    )
    for home in ("alias", "home/joe", "home/joe-sub", "home/root"):
        (site.home / home).mkdir(parents=True)
        if os.getuid() == 0 and home != "home/root":
            os.chown(site.home / home, OWNER, OWNER)


def vpopmail(site: MailSite) -> None:
    """Give the site a vpopmail domain v.example, its other name alias.example, and users/cdb."""
    home = site.home / "domains/v.example"
    assign(site, f"+v.example-:v.example:89:89:{home}:-::", f"+alias.example-:v.example:89:89:{home}:-::")
    site.write(
        "domains/v.example/vpasswd",
        "anna:$1$x:1:0:Anna:/home/vpopmail/domains/v.example/anna:NOQUOTA\n"
        "gone:$1$x:1:16:Gone:/home/vpopmail/domains/v.example/gone:NOQUOTA\n"
        "half\n",
    )
    site.write("domains/v.example/.qmail-default", VDELIVERMAIL + " bounce-no-mailbox\n")


def assign(site: MailSite, *lines: str) -> None:
    """Write users/assign, and users/cdb as qmail-newu makes it."""
    site.write("users/assign", "".join(line + "\n" for line in (*lines, ".")))
    records, last = [], set()
    for line in lines:
        name, *fields = line[1:].encode().rstrip(b":").split(b":")
        fields += [b""] * (6 - len(fields))
        name = name.lower()
        last.add(name[-1:])
        records.append((b"!" + name + (b"\0" if line[0] == "=" else b""), b"\0".join(fields[:6])))
    site.cdb("users/cdb", [*records, (b"", b"".join(last))])
