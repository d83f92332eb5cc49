"""Debian's postfix as a client that insists on TLS: a private instance with files of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import PATIENCE, QmailHome, wait_for
from tests.tlsclient import certificate
from tests.ucspi import Server
from tests.warm import BOTH, NO_NAMES, Starter

POSTFIX = shutil.which("postfix", path="/usr/sbin:/usr/local/sbin") or "postfix"
SERVICES = """\
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
tlsmgr unix - - n 1000? 1 tlsmgr
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@contextmanager
def postfix(server: Server, trusted: Path) -> Iterator[Path]:
    """An instance that sends everything to `server`, by its sendmail -C; its directory, outside of the test's own,
    which other users cannot reach."""
    with tempfile.TemporaryDirectory(prefix="postfix") as name:
        place = Path(name)
        place.chmod(0o755)
        for part in ("queue", "data"):
            (place / part).mkdir()
        shutil.chown(place / "data", "postfix")
        shutil.copy(trusted, place / "ca.pem")
        (place / "master.cf").write_text(SERVICES)
        (place / "main.cf").write_text(
            f"compatibility_level = 3.6\nqueue_directory = {place}/queue\ndata_directory = {place}/data\n"
            f"maillog_file = {place}/log\nmaillog_file_prefixes = {place}\nmyhostname = mx.example.net\n"
            f"relayhost = [{server.host}]:{server.port}\nmydestination =\nalias_maps =\nalias_database =\n"
            "inet_interfaces = 127.0.0.1\nsmtp_tls_security_level = encrypt\nsmtp_tls_loglevel = 1\n"
            f"smtp_tls_CAfile = {place}/ca.pem\n"
        )
        subprocess.run([POSTFIX, "-c", name, "start"], check=True, capture_output=True, timeout=PATIENCE)
        try:
            yield place
        finally:
            subprocess.run([POSTFIX, "-c", name, "stop"], check=True, capture_output=True, timeout=PATIENCE)


@pytest.mark.skipif(os.geteuid() != 0, reason="postfix starts as root only")
@pytest.mark.parametrize("start", BOTH, ids=lambda start: start.__name__)
def test_a_message_by_postfix(start: Starter, home: QmailHome) -> None:
    trusted = certificate(home)
    with (
        start(home, *NO_NAMES, QMAILQUEUE=str(home.path / "bin" / "qmail-queue")) as server,
        postfix(server, trusted) as place,
    ):
        sendmail = [str(Path(POSTFIX).with_name("sendmail")), "-C", str(place), "-f", "a@example.net"]
        subprocess.run([*sendmail, "joe@joedomain.net"], input=b"Subject: x\n\nhello\n", check=True)
        wait_for(home.messages, what="the message")
        shaken = "TLS connection established to 127.0.0.1"
        wait_for(lambda: shaken in (place / "log").read_text(), what=shaken)
    message = home.messages()[0]
    assert b" with ESMTPS; " in message.message
    assert message.body.endswith(b"\n\nhello\n")
    assert message.recipients == (b"joe@joedomain.net",)
