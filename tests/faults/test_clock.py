"""The clock of the day jumps in the middle of a session: nobody is sent away for it, and no checker's time is over."""

from pathlib import Path

import pytest

from tests.sessions import KINDS, begin, rcpt, send, serving
from tests.support import QmailHome

PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")
LIBRARY = next(str(file) for place in PLACES for file in Path("/").glob(place[1:]))


@pytest.mark.parametrize("jump", ["+3d", "-3d"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_clock_jumps(kind: str, jump: str, home: QmailHome) -> None:
    clock = home.path / "clock"
    clock.write_text("@2026-11-24 02:22:39\n")
    env = home.environment(
        LD_PRELOAD=LIBRARY,
        TZ="UTC",
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        SMTPEXTFORK=f"{home.path}/jump",
        SMTPEXTFORKTIMEOUT="20",
        SMTPEXTFORKFAIL="reject",
    )
    home.control(timeoutsmtpd="60\n")
    checker = home.path / "jump"  # it turns the clock itself: then the server is waiting for it
    checker.write_text(f"#!/bin/sh\necho '{jump}' >'{clock}.new'\nmv '{clock}.new' '{clock}'\n")
    checker.chmod(0o755)
    with serving(kind, home, env) as opened, opened() as talk:
        talk.client.reply()
        begin(talk)
        clock.write_text("@2030-06-15 12:00:00\n")
        assert rcpt(talk, "joe") == b"250 ok"
        assert send(talk).startswith(b"250 ")
        clock.write_text("@2030-06-15 12:00:00\n")
        begin(talk)
        assert rcpt(talk, "jim") == b"250 ok"
        clock.write_text("@2030-06-15 12:00:00\n")
        assert talk.client.command("DATA") == [b"354 go ahead"]
        clock.write_text("@2020-06-15 12:00:00\n")
        assert talk.client.command("Subject: x\r\n\r\nx\r\n.")[0].startswith(b"250 ")
        assert talk.client.command("QUIT")[0].startswith(b"221")
    assert sorted(b" Jun 2030 " in message.message for message in home.messages()) == [False, True]
