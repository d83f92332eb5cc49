"""The sites that streams are tried in: real control files, and environments that set much of what there is."""

from dataclasses import dataclass
from pathlib import Path

from qmailfork.conversation.settings import Settings
from qmailfork.programs.peer import Peer
from qmailfork.system import config

CONTROL = {
    "me": "mail.joedomain.net\n", "rcpthosts": "joedomain.net\n.sub.joedomain.net\n",
    "localiphost": "mail.joedomain.net\n",
    "tlsclients": "mx@example.net\n",
    "badmailfrom": "spam@bad.example\n@worse.example\n",
}  # fmt: skip
EVERY = b"/a x,policy:unix:/p,spp:/s,rcptcheck:/r,preload:/l,shadow:/w"
AUTH = {b"SMTPAUTH": b"+cram", b"QMAILFORK_CHECKPASSWORD": b"/checkpassword /true"}
CERTIFICATE = b"certificate.pem"  # relative to qmail's home
PROXIED = "proxied"  # behind a load balancer, whose header comes first
SITES: dict[str, dict[bytes, bytes]] = {
    "plain": {},
    "checked": {b"SMTPEXTFORK": b"/a,/b", b"SMTPEXTFORKCODES": b"102=550,111=421", b"554SMTPEXTFORK": b"no\nno"},
    "every": {
        b"SMTPEXTFORK": EVERY,
        b"SMTPEXTFORKREPLY": b"1",
        b"SMTPEXTFORKHEADERS": b"1",
        b"SMTPEXTFORKFAIL": b"defer",
    },
    "quick": {b"SMTPEXTFORK": b"/a", b"XF_QUITASAP": b"1", b"DATABYTES": b"200"},
    "relay": {b"RELAYCLIENT": b"@fix.me", b"SMTPEXTFORK": b"/a", b"SMTPEXTFORKFAIL": b"reject"},
    "ldap": {b"QMAILFORK_LOG": b"qmail-ldap", b"LOGLEVEL": b"4", b"SMTPEXTFORK": EVERY},
    "switches": {
        b"GREETDELAY": b"1",
        b"HELOCHECK": b"!",
        b"MFDNSCHECK": b"",
        b"LOCALMFCHECK": b"",
        b"MAXRECIPIENTS": b"2",
        b"TARPITCOUNT": b"1",
        b"TARPITDELAY": b"1",
        b"BADHELO": b"",
        b"RECIPIENTS450": b"",
        b"REPLY_HELO": b"no\nno",
        b"SMTPEXTFORK": b"/a",
    },
    "json": {b"QMAILFORK_LOG": b"json", b"SMTPEXTFORK": EVERY, b"SMTPEXTFORKREPLY": b"1"},
    "named": {b"SMTPEXTFORK": EVERY, b"SMTPEXTFORKID": b"1", b"SMTPEXTFORKFENCE": b"/f -n 9"},
    "extensions": {b"QMAILFORK_EXTENSIONS": b"chunking,dsn,smtputf8", b"SMTPEXTFORK": b"/a"},
    "chunks": {b"QMAILFORK_EXTENSIONS": b"chunking", b"DATABYTES": b"90", b"XF_QUITASAP": b"1", b"SMTPEXTFORK": b"/a"},
    "auth": {**AUTH, b"QMAILFORK_AUTHINPLAIN": b"1", b"SMTPEXTFORK": b"/a"},
    "auth-required": {**AUTH, b"SMTPAUTH": b"!cram", b"QMAILFORK_AUTHINPLAIN": b"1", b"QMAILFORK_AUTHTRIES": b"2"},
    "submission": {**AUTH, b"CERTFILE": CERTIFICATE, b"REQUIREAUTH": b"1", b"QMAILFORK_AUTHDELAY": b"0"},
    "tls": {b"CERTFILE": CERTIFICATE, b"SMTPEXTFORK": EVERY, b"SMTPAUTH": b"-"},
    "tls-required": {b"CERTFILE": CERTIFICATE, b"FORCETLS": b"1", b"QMAILFORK_EXTENSIONS": b"chunking"},
    "tls-unusable": {b"CERTFILE": b"nothing.pem"},
    "smtps": {**AUTH, b"CERTFILE": CERTIFICATE, b"SMTPS": b"1"},
    PROXIED: {**AUTH, b"CERTFILE": CERTIFICATE, b"SMTPEXTFORK": EVERY},
    "ucspi": {b"UCSPITLS": b"", b"SSLCTLFD": b"20", b"SSLREADFD": b"21", b"SSLWRITEFD": b"22", b"SMTPEXTFORK": b"/a"},
}
PEER: dict[bytes, bytes] = {
    b"TCPREMOTEIP": b"203.0.113.7", b"TCPREMOTEHOST": b"mx.example.net", b"TCPREMOTEPORT": b"4711",
    b"TCPLOCALIP": b"192.0.2.1",
    b"TCPLOCALPORT": b"25", b"TCPLOCALHOST": b"mail.joedomain.net",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A site as a session finds it: its `environment`, and what reads it."""

    name: str
    controls: config.Controls
    environment: dict[bytes, bytes]

    @property
    def proxied(self) -> bool:
        """Whether the header of a load balancer comes first."""
        return self.name.startswith(PROXIED)

    def session(self, more: dict[bytes, bytes]) -> tuple[Settings, Peer]:
        """Settings and peer of a session with `more` in its environment; its name and challenges are always
        the same."""
        environment = {**self.environment, **more}
        settings = config.settings(self.controls, environment)
        if settings.auth:
            settings.auth.nonce = lambda: b"4711.0"
        peer = config.peer(environment)
        peer.session = b"4711.1"
        return settings, peer


def read(home: Path) -> list[Place]:
    """Each site below `home`, alone and then in front of another smtpd."""
    (home / "control").mkdir(parents=True, exist_ok=True)
    for name, text in CONTROL.items():
        (home / "control" / name).write_text(text)
    (home / CERTIFICATE.decode()).write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    alone, wrapping = (config.Controls(bytes(home), wrapped) for wrapped in ([], [b"/var/qmail/bin/qmail-smtpd"]))
    return [
        Place(name + ending, controls, {**PEER, **more})
        for controls, ending in ((alone, ""), (wrapping, "-wrapped"))
        for name, more in SITES.items()
    ]
