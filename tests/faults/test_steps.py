"""The queue program dies at each step of the hand-over: the client hears so, and nothing half done is queued."""

import pytest

from tests.registry import DRIVERS, OURS
from tests.servers import Driver
from tests.support import QmailHome, wait_for

STEPS = ("start", "message", "between", "envelope", "end", "queued")
ENVELOPE = ("EHLO foo", "MAIL FROM:<a@example.net>", "RCPT TO:<joe@joedomain.net>")
SHORT, LONG = b"Subject: x\r\n\r\nhello\r\n", b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 5000
READ_ERROR = b"451 qq read error (#4.3.0)"
CRASHED = [b"451 qq crashed (#4.3.0)"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("message", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_the_queue_dies(driver: Driver, message: bytes, step: str, home: QmailHome) -> None:
    with driver.open(home, home.environment(FAKE_QUEUE_DIES=step)) as talk:
        talk.client.reply()
        for attempt in range(2):
            assert [talk.client.command(line)[-1][:3] for line in ENVELOPE] == [b"250"] * 3
            assert talk.client.command("DATA") == [b"354 go ahead"]
            talk.client.send(message)
            assert talk.client.command(".") == CRASHED, attempt
    queued = home.messages()
    assert len(queued) == (2 if step == "queued" else 0)  # it died with the message safe: nobody could know
    assert all(stored.message.endswith(message.replace(b"\r\n", b"\n")) for stored in queued)


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_a_slow_queue_loses_nothing(driver: Driver, home: QmailHome) -> None:
    """Every step takes its time, as on a disk that is slow; a client that leaves meanwhile is no harm either."""
    for stays in (True, False):
        with driver.open(home, home.environment(FAKE_QUEUE_WAITS="30")) as talk:
            talk.client.reply()
            assert [talk.client.command(line)[-1][:3] for line in ENVELOPE] == [b"250"] * 3
            assert talk.client.command("DATA") == [b"354 go ahead"]
            talk.client.send(LONG + b".\r\n")
            if stays:
                assert talk.client.reply()[0].startswith(b"250 ")
            talk.client.close()
            assert talk.status() in (None, 1)
    wait_for(lambda: not home.drafts(), what="the queue to finish or drop what it has")
    wait_for(lambda: len(home.messages()) == 2, what="the message whose client left once it was whole")
    assert {stored.body for stored in home.messages()} == {LONG.replace(b"\r\n", b"\n")}


LEAVES = """#!/bin/sh
exec 8<&0 9<&1
{ until [ -e done ]; do sleep 0.1; done; } </dev/null >/dev/null 2>&1 &
exit $FAKE_QUEUE_EXIT
"""


@pytest.mark.parametrize(("code", "reply"), [("53", b"451 qq write error or disk full (#4.3.0)"), ("0", READ_ERROR)])
@pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)
def test_a_queue_that_has_ended_is_not_waited_for(driver: Driver, code: str, reply: bytes, home: QmailHome) -> None:
    """A child that it left behind holds its pipes, and reads nothing."""
    program = home.path / "bin" / "leaves"
    program.write_text(LEAVES.replace("[ -e done ]", f"[ -e {home.path}/done ]"))
    program.chmod(0o755)
    with driver.open(home, home.environment(QMAILQUEUE=str(program), FAKE_QUEUE_EXIT=code)) as talk:
        talk.client.reply()
        assert [talk.client.command(line)[-1][:3] for line in ENVELOPE] == [b"250"] * 3
        assert talk.client.command("DATA") == [b"354 go ahead"]
        talk.client.send(LONG)
        assert talk.client.command(".") == [reply]
        (home.path / "done").touch()


@pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)
def test_a_queue_that_says_much_before_it_reads(driver: Driver, home: QmailHome) -> None:
    """More than its pipe takes: somebody has to read it, and its first words count."""
    program = home.path / "bin" / "talks"
    program.write_text("#!/bin/sh\n{ echo Dno; head -c 100000 /dev/zero; } >&6\ncat >/dev/null\nexit 82\n")
    program.chmod(0o755)
    with driver.open(home, home.environment(QMAILQUEUE=str(program))) as talk:
        talk.client.reply()
        assert [talk.client.command(line)[-1][:3] for line in ENVELOPE] == [b"250"] * 3
        assert talk.client.command("DATA") == [b"354 go ahead"]
        talk.client.send(LONG)
        assert talk.client.command(".")[0].startswith(b"554 no")
