"""An LDAP server for tests: OpenLDAP's slapd on loopback, with a certificate of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support import wait_for

PLACES = (  # slapd, its schemas, its modules: Debian, FreeBSD
    ("/usr/sbin/slapd", "/etc/ldap/schema", "/usr/lib/ldap"),
    ("/usr/local/libexec/slapd", "/usr/local/etc/openldap/schema", "/usr/local/libexec/openldap"),
)
SUFFIX = "dc=example,dc=org"
ADMIN, PASSWORD = f"cn=admin,{SUFFIX}", "open sesame"

CONFIGURATION = """\
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
TLSCertificateFile {here}/cert.pem
TLSCertificateKeyFile {here}/key.pem
database mdb
suffix "{suffix}"
directory {here}/data
rootdn "{admin}"
rootpw "{password}"
access to dn.subtree="ou=hidden,{suffix}" by * none
access to * by * read
"""


class Directory:
    """A running slapd: its URLs over TCP, over TLS and on a unix socket, its certificate."""

    def __init__(self, here: Path, port: int, safe_port: int) -> None:
        self.url = f"ldap://localhost:{port}"
        self.safe_url = f"ldaps://localhost:{safe_port}"
        self.local_url = "ldapi://" + str(here / "socket").replace("/", "%2F")
        self.certificate = here / "cert.pem"


@contextmanager
def directory(here: Path, ldif: str) -> Iterator[Directory]:
    """Run slapd in the directory here with the entries of ldif."""
    slapd, schema, modules = next(place for place in PLACES if Path(place[0]).exists())
    (here / "data").mkdir()
    names = {"schema": schema, "modules": modules, "here": here, "suffix": SUFFIX, "admin": ADMIN, "password": PASSWORD}
    (here / "slapd.conf").write_text(CONFIGURATION.format(**names))
    certify(here)
    add = [slapd, "-T", "add", "-q", "-f", here / "slapd.conf"]
    subprocess.run(add, input=ldif.encode(), check=True, capture_output=True)
    port, safe_port = free_port(), free_port()
    place = Directory(here, port, safe_port)
    listen = f"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{safe_port} {place.local_url}"
    command = [slapd, "-d", "0", "-f", here / "slapd.conf", "-h", listen]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: process.poll() is not None or answers(port), what="slapd")
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            yield place
        finally:
            process.terminate()
    shutil.rmtree(here / "data")


def certify(here: Path) -> None:
    """Make a certificate for localhost."""
    options = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = ["-keyout", here / "key.pem", "-out", here / "cert.pem"]
    subprocess.run(["openssl", "req", *options.split(), *files], check=True, capture_output=True)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now; slapd cannot be handed a socket."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
    return port


def answers(port: int) -> bool:
    """Say whether somebody listens on port."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
