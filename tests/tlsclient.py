"""Certificates made by openssl, and a client that speaks TLS."""

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.smtpclient import Client

NAME = "mail.joedomain.net"


class Home(Protocol):
    """Whatever has a control directory."""

    @property
    def path(self) -> Path: ...


def certificate(
    home: Home,
    name: str = NAME,
    file: str = "servercert.pem",
    key: str = "serverkey.pem",
    more: Sequence[str] = (),
) -> Path:
    """A certificate for `name` with its key, below control; the file to trust."""
    control = home.path / "control"
    made = ["-keyout", str(control / key), "-out", str(control / file)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = [
        "-subj",
        "".join(f"/{part}" for part in (f"CN={name}", *more)),
        "-addext",
        f"subjectAltName=DNS:{name}",
        "-days",
        "2",
    ]
    subprocess.run(["openssl", "req", "-x509", *curve, *made, *subject], check=True, capture_output=True)
    return control / file


def expired(home: Home) -> None:
    """A certificate whose time is over."""
    trusted = certificate(home)
    control = home.path / "control"
    request, key = control / "request", control / "serverkey.pem"
    subject = ["-key", str(key), "-subj", f"/CN={NAME}", "-out", str(request)]
    subprocess.run(["openssl", "req", "-new", *subject], check=True, capture_output=True)
    (home.path / "index").write_text("")
    (home.path / "serial").write_text("01\n")
    (home.path / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=c\n[c]\ndatabase={home.path}/index\nserial={home.path}/serial\nnew_certs_dir={home.path}\n"
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
    signing = ["-config", str(home.path / "ca.cnf"), "-selfsign", "-keyfile", str(key), "-in", str(request)]
    subprocess.run(
        ["openssl", "ca", "-batch", "-notext", *signing, *dates, "-out", str(trusted)], check=True, capture_output=True
    )
    request.unlink()


def over_tls(client: Client, trusted: Path, name: str = NAME, **versions: ssl.TLSVersion) -> Client:
    """The same client after a handshake. Raises ssl.SSLError, ConnectionError."""
    context = ssl.create_default_context(cafile=str(trusted))
    for attribute, version in versions.items():
        setattr(context, attribute, version)
    client.socket.settimeout(client.seconds)
    return Client(context.wrap_socket(client.socket, server_hostname=name), client.seconds)
