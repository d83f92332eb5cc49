"""GREETDELAY and TARPITDELAY in every driver: they last, one client's wait is its own, and it ends with the client."""

import time

import pytest

from tests.registry import DRIVERS, OURS
from tests.servers import Driver
from tests.support import QmailHome, wait_for
from tests.tlsclient import certificate, over_tls

GREETING = b"220 mail.joedomain.net ESMTP"
ours = pytest.mark.parametrize("driver", [each for each in DRIVERS if each.ours], ids=lambda driver: driver.name)


@ours
def test_the_greeting_is_late(driver: Driver, home: QmailHome) -> None:
    began = time.monotonic()
    with driver.open(home, home.environment(GREETDELAY="1")) as talk:
        assert talk.client.read_line() == GREETING
    assert time.monotonic() - began >= 1


@ours
def test_a_recipient_waits_and_what_is_owed_is_said_before(driver: Driver, home: QmailHome) -> None:
    with driver.open(home, home.environment(TARPITCOUNT="1", TARPITDELAY="2")) as talk:
        talk.client.read_line()
        talk.client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\n")
        assert talk.client.read_line() == b"250 ok"
        began = time.monotonic()
        assert talk.client.read_line() == b"250 ok"
        assert time.monotonic() - began >= 1


@pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)
def test_one_clients_wait_is_its_own(driver: Driver, home: QmailHome) -> None:
    with driver.open(home, home.environment(TARPITCOUNT="1", TARPITDELAY="900")) as waits:
        waits.client.read_line()
        waits.client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\n")
        assert waits.client.read_line() == b"250 ok"
        with driver.open(home, home.environment()) as other:
            assert other.client.read_line() == GREETING
            assert other.client.command("QUIT")
        if waits.process:
            waits.process.terminate()
            wait_for(lambda: waits.process and waits.process.poll() is not None, what="the end of a wait by SIGTERM")


def test_a_wait_ends_with_the_process_that_brought_the_session(home: QmailHome) -> None:
    seen = home.path / "seen"
    env = home.environment(TARPITCOUNT="1", TARPITDELAY="900", SMTPEXTFORK=f"fakes/record {seen}")
    (handoff,) = [driver for driver in OURS if driver.name == "handoff"]
    with handoff.open(home, env) as talk:
        talk.client.read_line()
        talk.client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\n")
        assert talk.client.read_line() == b"250 ok"
        assert talk.process
        talk.process.kill()
        wait_for(seen.exists, what="the session to go on to its end")


@pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)
def test_so_it_is_under_tls(driver: Driver, home: QmailHome) -> None:
    trusted = certificate(home)
    env = home.environment(SMTPS="1", GREETDELAY="1", TARPITCOUNT="1", TARPITDELAY="1")
    with driver.open(home, env) as talk:
        client = over_tls(talk.client, trusted)
        assert client.read_line() == GREETING
        client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nQUIT\r\n")
        assert client.rest() == b"250 ok\r\n250 ok\r\n221 mail.joedomain.net\r\n"
    with driver.open(home, {**env, "GREETDELAY": "60"}) as talk:
        client = over_tls(talk.client, trusted)
        client.send(b"EHLO foo\r\n")
        assert client.rest().startswith(b"554 ")
