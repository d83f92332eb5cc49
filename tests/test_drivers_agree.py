"""A program is started alike by all drivers: its environment, descriptors, directory, signals and group."""

import pytest

from tests.registry import OURS
from tests.servers import Driver
from tests.support import QmailHome, recorded, wait_for

VARIES = ("TCPLOCALPORT", "TCPREMOTEPORT", "FAKE_QUEUE_DIR", "FAKE_RECORD", "LC_CTYPE")


def started(driver: Driver, home: QmailHome, **variables: str) -> dict[str, object]:
    """How the recording program was started in a session with one recipient and a message."""
    seen = home.path / "seen"
    env = home.environment(FAKE_RECORD=str(seen), TCPREMOTEHOST="mx.example.net", TCPREMOTEINFO="joe", **variables)
    with driver.open(home, env) as talk:
        talk.client.send(
            b"HELO foo\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nDATA\r\n.\r\nQUIT\r\n"
        )
        talk.client.rest()
        fields = wait_for(lambda: seen.exists() and recorded(seen), what="the program")
    environment = dict(variable.split("=", 1) for variable in fields.pop("env"))
    homes = environment.pop("QMAILHOME"), *fields.pop("cwd")
    leads = fields.pop("pid") == fields.pop("pgrp")
    fields["fd"].sort()
    variables = {name: value for name, value in environment.items() if name not in VARIES}
    return {**fields, "env": variables, "leads its group": leads, "is at home": homes[0] == homes[1]}


@pytest.mark.parametrize("driver", OURS[1:], ids=lambda driver: driver.name)
def test_a_checker(driver: Driver, home: QmailHome, other_home: QmailHome) -> None:
    variables = {"SMTPEXTFORK": "fakes/record", "554SMTPEXTFORK": "a\nb", "ODD": "\x01 \t'\""}
    here, there = started(OURS[0], home, **variables), started(driver, other_home, **variables)
    assert here == there
    assert here["fd"] == ["0", "1", "2"]
    assert here["file0"] == ["/dev/null"]
    assert here["leads its group"]
    assert here["is at home"]
    assert "ignored" not in here
    assert "blocked" not in here
    assert here["env"]["REMOTERCPT"] == "joe@joedomain.net"  # type: ignore[index]
    assert here["env"]["554SMTPEXTFORK"] == "a\nb"  # type: ignore[index]


@pytest.mark.parametrize("driver", OURS[1:], ids=lambda driver: driver.name)
def test_the_queue(driver: Driver, home: QmailHome, other_home: QmailHome) -> None:
    variables = {"QMAILQUEUE": "fakes/record", "RELAYCLIENT": ""}
    here, there = started(OURS[0], home, **variables), started(driver, other_home, **variables)
    assert here == there
    assert here["fd"] == ["0", "1", "2", "4", "6"]
    assert here["is at home"]
    assert "ignored" not in here
    assert "blocked" not in here
    assert "REMOTERCPT" not in here["env"]  # type: ignore[operator]
