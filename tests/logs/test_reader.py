"""Reading logs back: what the writers wrote, what the patched servers write, and what nobody should have written."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.logs import files, stamps
from qmailfork.logs.reader import Reader
from qmailfork.logs.verdicts import ACCEPTED, DEFERRED, FAILED, OTHER, QUEUED, REFUSED, SHADOWED, Verdicts
from qmailfork.programs import events, journal, jsonlines
from qmailfork.programs.journal import Event
from qmailfork.programs.outcome import EXITED, Outcome
from qmailfork.programs.verdict import Checker

STAMP = b"@40000000692080000000aaaa "
WHEN = 0x69208000 - 10
JOE = b"joe@joedomain.net"
ACCEPT = b"qmail-smtpd: pid 7 Accept::RCPT::Rcpthosts_Rcptto P:ESMTP S:192.0.2.1:unknown H:foo F:a@b.example T:" + JOE
TEXT = st.binary(min_size=1, max_size=20)


def conversation(recipient: bytes, program: bytes) -> list[tuple[Event, str]]:
    """One event of each kind that counts, and what it counts as."""
    checks = [(Checker(b"/x"), Outcome(EXITED, 100, b"", 12.5))]
    return [
        (events.recipient_accepted(recipient, False, checks), ACCEPTED),
        (events.checker_refused(recipient, program, b"Extfork_100", b"554 no\r\n", checks), REFUSED),
        (events.checker_refused(recipient, program, b"Extfork_101", b"454 no\r\n", checks), DEFERRED),
        (events.checker_failed(recipient, program, b"Extfork_Timeout", checks), FAILED),
        (events.shadowed(recipient, program, b"Extfork_100", b"554 no\r\n", checks), SHADOWED),
        (events.no_gateway(recipient), REFUSED),
    ]


def read(path: Path, data: bytes) -> tuple[list[tuple[int, int, Event]], Reader]:
    path.write_bytes(data)
    reader = Reader([str(path)])
    return list(reader), reader


@given(recipient=TEXT, program=TEXT, helo=TEXT)
@pytest.mark.parametrize("style", [journal.spamcontrol, journal.qmail_ldap(4), jsonlines.line])
def test_what_is_written_is_read(
    style: Callable[[int, Event], bytes],
    tmp_path_factory: pytest.TempPathFactory,
    recipient: bytes,
    program: bytes,
    helo: bytes,
) -> None:
    lines, wanted = [], []
    for number, (event, verdict) in enumerate(conversation(recipient, program)):
        connected = events.connected(b"2001:db8::7", b"mx.example.net", None, b"us")
        for one in (connected, events.said(4, b"remote ehlo: " + journal.clean(helo)), events.sender_accepted(b"a@b")):
            lines.append(style(number, one))
        event.protocol, event.ip, event.host, event.helo = b"ESMTP", b"2001:db8::7", b"mx.example.net", helo
        event.sender = b"a@b"
        lines.append(style(number, event))
        wanted.append((number, event, verdict))
    told, reader = read(tmp_path_factory.mktemp("log") / "log", b"".join(STAMP + line for line in lines if line))
    verdicts = Verdicts({})
    got = {number: event for _, number, event in told if verdicts.of(event) != OTHER}
    assert reader.counts.broken == 0
    assert all(when == WHEN for when, _, _ in told)
    for number, event, verdict in wanted:
        one = got[number]
        assert verdicts.of(one) == verdict
        assert one.condition == event.condition
        assert (one.ip, one.host, one.sender) == (event.ip, event.host, event.sender)
        if style is not jsonlines.line:  # which escapes what the others replace
            assert one.recipient == journal.clean(recipient)
            assert one.helo == journal.clean(helo)
        else:
            ends = [(check.program, end.code, end.milliseconds) for check, end in one.checks]
            assert ends == ([(b"/x", 100, 12.5)] if event.checks else [])


PATCHED = [
    (b"qmail-smtpd: pid 9 Reject::RCPT::Failed_Rcptto: S:203.0.113.7:unknown H:foo F: T:nobody@joedomain.net", REFUSED),
    (b"qmail-smtpd: pid 9 Reject::RCPT::Toomany_Rcptto P:ESMTP S:203.0.113.7:unknown H:foo F: T:a@b", DEFERRED),
    (b"qmail-smtpd: pid 9 Accept::ORIG::Local_Sender P:ESMTPM S:203.0.113.7:unknown H:a b c F:x y@z T:a@b", ACCEPTED),
    (b"qmail-smtpd: pid 9 Accept::AUTH::plain P:ESMTPSA S:198.51.100.2:unknown ?= 'joe'", OTHER),
    (b"qmail-smtpd: pid 9 Accept::TLS::AES P:ESMTPS S:198.51.100.2:unknown != 'none'", OTHER),
    (b"qmail-smtpd: pid 9 Reject::SNDR::Bad_Helo P:ESMTP S:203.0.113.7:unknown H: '!'", REFUSED),
]


@pytest.mark.parametrize(("line", "verdict"), PATCHED)
def test_spamcontrols_own_lines(tmp_path: Path, line: bytes, verdict: str) -> None:
    told, _ = read(tmp_path / "log", STAMP + line + b"\n")
    assert [Verdicts({}).of(event) for _, _, event in told] == [verdict]


def test_qmail_ldap_at_level_4_names_a_recipient_before_it_is_refused(tmp_path: Path) -> None:
    lines = (
        b"connection from 203.0.113.7 (mx.example.net) to mail.joedomain.net", b"mail from: a@b.example",
        b"rcpt to: x@elsewhere.org", b"no mail relay for 'rcpt to': x@elsewhere.org", b"rcpt to: " + JOE,
        b"message queued: 1732413099 qp 4713 size 1234 bytes",
    )  # fmt: skip
    told, _ = read(tmp_path / "log", b"".join(STAMP + b"qmail-smtpd 4711: " + line + b"\n" for line in lines))
    assert [(Verdicts({}).of(event), event.recipient) for _, _, event in told] == [
        (REFUSED, b"x@elsewhere.org"), (ACCEPTED, JOE), (QUEUED, b""),
    ]  # fmt: skip


def test_the_sites_own_codes_count() -> None:
    event = Event(b"Reject::RCPT::Extfork_7", journal.ENVELOPE, b"/x", 0, b"", b"", JOE)
    assert Verdicts({}).of(event) == REFUSED
    assert Verdicts({b"SMTPEXTFORKCODES": b"7=450"}).of(event) == DEFERRED


@pytest.mark.parametrize(
    ("stamp", "when"),
    [
        (STAMP, WHEN),
        (b"2026-11-24_08:45:02.12345 ", 1795509902),
        (b"2026-11-24T08:45:02.123456+00:00 mx smtpd[12]: ", 1795509902),
        (b"2026-11-24T09:45:02+0100 mx qmail: ", 1795509902),
        (b"", 0),
    ],
)
def test_stamps(stamp: bytes, when: int) -> None:
    assert stamps.Stamps(1795600000).split(stamp + ACCEPT) == (when, ACCEPT)


def test_syslogs_year_is_the_last_that_fits() -> None:
    clock = stamps.Stamps(1795509902)
    now, words = clock.split(b"Nov 23 08:00:00 mx smtpd: 1732413099.123456 " + ACCEPT)
    before, _ = clock.split(b"Dec 23 08:00:00 mx smtpd: " + ACCEPT)
    assert words == ACCEPT
    assert 1795400000 < now < 1795509902
    assert 334 * 86400 < now - before < 336 * 86400


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_a_directory_with_compressed_files(tmp_path: Path, pack: object) -> None:
    name = "@4000000069208000aaaaaaaa"
    (tmp_path / f"{name}.s").write_bytes(pack(STAMP + ACCEPT + b"\n"))  # type: ignore[operator]
    (tmp_path / "current").write_bytes(STAMP + ACCEPT + b"\n" + STAMP + ACCEPT[:60])
    (tmp_path / f"{name}.t").write_bytes(b"half of it")
    (tmp_path / "lock").touch()
    reader = Reader([str(tmp_path)])
    assert len(list(reader)) == 2
    assert reader.counts.unfinished == 1
    assert reader.counts.faults == []
    assert len(list(Reader([str(tmp_path)], since=WHEN + 100))) == 0


def test_what_is_broken_is_counted_and_harms_nothing(tmp_path: Path) -> None:
    lines = (
        b"\0\1\2\xff", b"@4zzz", STAMP + b"qmail-smtpd: pid x y", STAMP + b"{\"event\":", STAMP + b"{" + b"[" * 9000,
        b"@4fffffffffffffff00000000 " + ACCEPT, STAMP + b"x" * 200_000, STAMP + b'{"event":1,"pid":2}',
        STAMP + b'{"event":"Accept::X","pid":2}', b"", STAMP + b"softfail: a word",
    )  # fmt: skip
    told, reader = read(tmp_path / "log", b"\n".join((*lines, STAMP + ACCEPT)) + b"\n")
    assert len(told) == 1
    assert (reader.counts.lines, reader.counts.broken) == (len(lines) + 1, 6)


def test_a_damaged_file_is_told_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(gzip.compress(STAMP + ACCEPT + b"\n")[:-4])
    (tmp_path / "whole").write_bytes(STAMP + ACCEPT + b"\n")
    reader = Reader([f"{tmp_path}/cut", f"{tmp_path}/absent", f"{tmp_path}/whole"])
    assert len(list(reader)) >= 1
    assert [fault.split(": ")[0] for fault in reader.counts.faults] == [f"{tmp_path}/cut", f"{tmp_path}/absent"]


def test_a_directory_without_a_log(tmp_path: Path) -> None:
    with pytest.raises(files.Unreadable, match="no log in this directory"):
        Reader([str(tmp_path)])
