"""The sites that streams are tried in: real control files, and environments that set much of what there is."""

from pathlib import Path

from qmailfork.conversation.settings import Settings
from qmailfork.system import config

CONTROL = {
    "me": "mail.joedomain.net\n", "rcpthosts": "joedomain.net\n.sub.joedomain.net\n",
    "localiphost": "mail.joedomain.net\n",
    "badmailfrom": "spam@bad.example\n@worse.example\n",
}  # fmt: skip
EVERY = b"/a x,policy:unix:/p,spp:/s,rcptcheck:/r,preload:/l,shadow:/w"
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
    "ucspi": {b"UCSPITLS": b"", b"SSLCTLFD": b"20", b"SSLREADFD": b"21", b"SSLWRITEFD": b"22", b"SMTPEXTFORK": b"/a"},
}
PEER: dict[bytes, bytes] = {
    b"TCPREMOTEIP": b"203.0.113.7", b"TCPREMOTEHOST": b"mx.example.net", b"TCPREMOTEPORT": b"4711",
    b"TCPLOCALIP": b"192.0.2.1",
    b"TCPLOCALPORT": b"25", b"TCPLOCALHOST": b"mail.joedomain.net",
}  # fmt: skip


def read(home: Path) -> list[tuple[str, Settings, dict[bytes, bytes]]]:
    """Each site below `home`, alone and in front of another smtpd: its name, settings and environment."""
    (home / "control").mkdir(parents=True, exist_ok=True)
    for name, text in CONTROL.items():
        (home / "control" / name).write_text(text)
    found = []
    for wrapped in ([], [b"/var/qmail/bin/qmail-smtpd"]):
        controls = config.Controls(bytes(home), wrapped)
        for name, more in SITES.items():
            environment = {**PEER, **more}
            found.append((name + "-wrapped" * bool(wrapped), config.settings(controls, environment), environment))
    return found
