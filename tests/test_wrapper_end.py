"""The listener's end, with a wrapped smtpd that does not end by itself."""

import subprocess

from tests.support import QmailHome
from tests.test_wrapper import LOST, wrapped


def test_a_hung_child_does_not_outlive_the_listener(home: QmailHome) -> None:
    with wrapped("listener", home, "RCPT=hangs", QMAILFORK_CHILDTIMEOUT="2") as talk:
        talk.client.send(b"EHLO foo\r\nMAIL FROM:<>\r\nRCPT TO:<joe@joedomain.net>\r\n")
        assert talk.client.rest().endswith(LOST + b"\r\n")

    listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"{home.path}/heard" not in listed
