"""No variant of an end of data and no variant of a line end lets a second message in.

The matrix: each server by each variant, sent whole and split in two at each of its octets. Every cell has its name
and says what the server does there. BODY has what stands between the text of a message and the commands of a second
one, after DATA and in the last chunk of BDAT; COMMANDS what stands between two commands; COUNTS what says how much of
what follows BDAT is text.
"""

from dataclasses import dataclass

import pytest

from tests.registry import DRIVERS
from tests.servers import Driver, Talk
from tests.support import QmailHome
from tests.transcript import send_and_wait

HELD = "held"  # it is text of the one message, which ends at the true CR LF . CR LF
CLOSED = "closed"  # 451, the connection is closed, nothing is queued
ENDED = "ended"  # it is a true end of data: both see two messages
ONE, TWO = "one", "two"  # commands
LONG = b"x" * 70000

ENVELOPE = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nDATA\r\n"
SECOND = b"MAIL FROM:<b@example.net>\r\nRCPT TO:<jim@joedomain.net>\r\nDATA\r\nsmuggled\r\n.\r\n"
SECOND_AS_TEXT = b"MAIL FROM:<b@example.net>\nRCPT TO:<jim@joedomain.net>\nDATA\nsmuggled\n"
BODY = {
    "CRLF.CRLF": (b"\r\n.\r\n", ENDED, b"\n"),
    "LF.LF": (b"\n.\n", CLOSED, b""),
    "LF.CRLF": (b"\n.\r\n", CLOSED, b""),
    "LF.CR": (b"\n.\r", CLOSED, b""),
    "CRLF.LF": (b"\r\n.\n", CLOSED, b""),
    "CRLF.CR": (b"\r\n.\r", HELD, b"\n.\r"),
    "CR.CR": (b"\r.\r", HELD, b"\r.\r"),
    "CR.LF": (b"\r.\n", CLOSED, b""),
    "CR.CRLF": (b"\r.\r\n", HELD, b"\r.\n"),
    "CRCR.CRCR": (b"\r\r.\r\r", HELD, b"\r\r.\r\r"),
    "CRCRLF.CRLF": (b"\r\r\n.\r\n", ENDED, b"\r\n"),
    "CRLF.CRCRLF": (b"\r\n.\r\r\n", HELD, b"\n.\r\n"),
    "CRCRLF.CRCRLF": (b"\r\r\n.\r\r\n", HELD, b"\r\n.\r\n"),
    "CRLFCR.CRLF": (b"\r\n\r.\r\n", HELD, b"\n\r.\n"),
    "LFCR.LFCR": (b"\n\r.\n\r", CLOSED, b""),
    "LFLF": (b"\n\n", CLOSED, b""),
    "CRLFLF": (b"\r\n\n", CLOSED, b""),
    "NUL-CRLF.CRLF": (b"\0\r\n.\r\n", ENDED, b"\0\n"),
    "CR-NUL-LF.CRLF": (b"\r\0\n.\r\n", CLOSED, b""),
    "CRLF-NUL-.CRLF": (b"\r\n\0.\r\n", HELD, b"\n\0.\n"),
    "CRLF.NUL-CRLF": (b"\r\n.\0\r\n", HELD, b"\n\0\n"),
    "CRLF.CR-NUL-LF": (b"\r\n.\r\0\n", CLOSED, b""),
    "CRLF..CRLF": (b"\r\n..\r\n", HELD, b"\n.\n"),
    "CRLF...CRLF": (b"\r\n...\r\n", HELD, b"\n..\n"),
    "CRLF..LF": (b"\r\n..\n", CLOSED, b""),
    "CRLF.SP-CRLF": (b"\r\n. \r\n", HELD, b"\n \n"),
    "CRLF.TAB-CRLF": (b"\r\n.\t\r\n", HELD, b"\n\t\n"),
    "CRLF-SP-.CRLF": (b"\r\n .\r\n", HELD, b"\n .\n"),
    "VT.VT": (b"\x0b.\x0b", HELD, b"\x0b.\x0b"),
    "FF.FF": (b"\x0c.\x0c", HELD, b"\x0c.\x0c"),
    "RS.RS": (b"\x1e.\x1e", HELD, b"\x1e.\x1e"),
    "NEL.NEL": (b"\xc2\x85.\xc2\x85", HELD, b"\xc2\x85.\xc2\x85"),
    "85.85": (b"\x85.\x85", HELD, b"\x85.\x85"),
    "8D8A.8D8A": (b"\x8d\x8a.\x8d\x8a", HELD, b"\x8d\x8a.\x8d\x8a"),
    "LS.LS": (b"\xe2\x80\xa8.\xe2\x80\xa8", HELD, b"\xe2\x80\xa8.\xe2\x80\xa8"),
    "CRLF.fullwidth-CRLF": (b"\r\n\xef\xbc\x8e\r\n", HELD, b"\n\xef\xbc\x8e\n"),
    "long-line-CRLF.CRLF": (LONG + b"\r\n.\r\n", ENDED, LONG + b"\n"),
    "long-line-LF.LF": (LONG + b"\n.\n", CLOSED, b""),
    "long-line-CRLF.CR": (LONG + b"\r\n.\r", HELD, LONG + b"\n.\r"),
    "long-line-CR.CRLF": (LONG + b"\r.\r\n", HELD, LONG + b"\r.\n"),
}
COMMANDS = {
    "CRLF": (b"\r\n", TWO, b"250", ""),
    "LF": (b"\n", TWO, b"250", ""),  # qmail's way: a command may end in LF alone
    "CR": (b"\r", ONE, b"250", ""),
    "CRCRLF": (b"\r\r\n", TWO, b"250", ""),
    "VT": (b"\x0b", ONE, b"250", ""),
    "FF": (b"\x0c", ONE, b"250", ""),
    "NEL": (b"\xc2\x85", ONE, b"250", ""),
    "LS": (b"\xe2\x80\xa8", ONE, b"250", ""),
    "8D8A": (b"\x8d\x8a", ONE, b"250", ""),
    "NUL": (b"\0", ONE, b"555", "in the C server a NUL ends the line"),
    "NUL-CRLF": (b"\0\r\n", TWO, b"555", "in the C server a NUL ends the line"),
    "CR-NUL-LF": (b"\r\0\n", TWO, b"555", "in the C server a NUL ends the line"),
    "long-line-CRLF": (LONG + b"\r\n", TWO, b"500", "the C server has no limit"),
    "long-line-LF": (LONG + b"\n", TWO, b"500", "the C server has no limit"),
    "long-line-CR": (LONG + b"\r", ONE, b"500", "the C server has no limit"),
    "long-line-NUL": (LONG + b"\0", ONE, b"500", "the C server has no limit"),
}


COUNTS = {
    "none": b"",
    "blank": b" ",
    "word": b" LAST",
    "sign": b" +%d LAST",
    "negative": b" -%d LAST",
    "hex": b" 0x%x LAST",
    "fraction": b" %d.0 LAST",
    "comma": b" %d,LAST",
    "tab": b" %d\tLAST",
    "other-word": b" %d LASTS",
    "two-words": b" %d LAST LAST",
    "two-counts": b" %d 0 LAST",
    "NUL": b" %d LAST\0",
    "NUL-in-it": b" %d\0 LAST",
    "CR": b" %d LAST\r",
    "21-digits": b" %021d LAST",
    "arabic-digits": " \u0665\u0660 LAST".encode(),
    "superscript": b" \xb2 LAST",
}


@dataclass(frozen=True)
class Sent:
    """Octets before a variant, the variant, octets after it; `split`: where in the variant, None for nowhere."""

    before: bytes
    variant: bytes
    after: bytes
    split: int | None

    def to(self, talk: Talk) -> None:
        octets = self.before + self.variant + self.after
        at = 0 if self.split is None else len(self.before) + self.split
        if at:
            send_and_wait(talk, octets[:at])
        talk.client.send(octets[at:])
        talk.client.half_close()


def splits(variant: bytes) -> list[int | None]:
    """Nowhere, and around each octet of the variant (of a long one, those at its end)."""
    return [None, *range(max(0, len(variant) - 8), len(variant) + 1)]


def cells(matrix: "dict[str, tuple[bytes, str, bytes]] | dict[str, tuple[bytes, str, bytes, str]]") -> list[object]:
    """A parameter set for each cell: server, variant, split."""
    return [
        pytest.param(driver, cell, split, id=f"{driver.name}-{name}-{'whole' if split is None else split}")
        for driver in DRIVERS
        for name, cell in matrix.items()
        if driver.ours or not "".join(str(part) for part in cell[3:])
        for split in (splits(cell[0]) if driver.ours else [None])
    ]


@pytest.mark.parametrize(("driver", "cell", "split"), cells(BODY))
def test_end_of_data(driver: Driver, cell: tuple[bytes, str, bytes], split: int | None, home: QmailHome) -> None:
    variant, fate, stored = cell
    with driver.open(home, home.environment()) as talk:
        Sent(ENVELOPE + b"text", variant, SECOND + b"QUIT\r\n", split).to(talk)
        codes = [line[:3] for line in talk.client.rest().split(b"\r\n")]
    assert (
        codes
        == {
            HELD: [b"220", b"250", b"250", b"354", b"250", b"221", b""],
            CLOSED: [b"220", b"250", b"250", b"354", b"451", b""],
            ENDED: [b"220", b"250", b"250", b"354", b"250", b"250", b"250", b"354", b"250", b"221", b""],
        }[fate]
    )
    assert [message.body for message in home.messages()] == {
        HELD: [b"text" + stored + SECOND_AS_TEXT],
        CLOSED: [],
        ENDED: [b"text" + stored, b"smuggled\n"],
    }[fate]


CHUNKING = [driver for driver in DRIVERS if driver.ours and driver.alone]
CHUNK_CELLS = [
    pytest.param(driver, cell, split, id=f"{driver.name}-{name}-{'whole' if split is None else split}")
    for driver in CHUNKING
    for name, cell in BODY.items()
    for split in splits(cell[0])
]


def in_queue(text: bytes) -> bytes | None:
    """How the text of chunks is stored, None where it has a bare LF; what follows a message's end is text as well."""
    lines = text.split(b"\r\n")
    return None if any(b"\n" in line for line in lines) else b"\n".join(lines)


@pytest.mark.parametrize(("driver", "cell", "split"), CHUNK_CELLS)
def test_end_of_data_in_a_chunk(
    driver: Driver, cell: tuple[bytes, str, bytes], split: int | None, home: QmailHome
) -> None:
    """Nothing in a chunk ends it, wherever another chunk begins."""
    text = b"text" + cell[0] + SECOND
    at = 4 + (split or 0)
    before = ENVELOPE.replace(b"DATA\r\n", b"BDAT %d\r\n" % at) + text[:at]
    with driver.open(home, home.environment(QMAILFORK_EXTENSIONS="chunking")) as talk:
        if split is not None:
            send_and_wait(talk, before)
            before = b""
        talk.client.send(before + b"BDAT %d LAST\r\n" % (len(text) - at) + text[at:] + b"QUIT\r\n")
        talk.client.half_close()
        codes = [line[:3] for line in talk.client.rest().split(b"\r\n")]
    stored = in_queue(text)
    assert codes[:4] == [b"220"] + [b"250"] * 2 + [codes[3]]
    assert codes[-2:] == ([b"221", b""] if stored is not None else [b"451", b""])
    assert [message.body for message in home.messages()] == ([] if stored is None else [stored])


@pytest.mark.parametrize("count", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("driver", CHUNKING, ids=lambda driver: driver.name)
def test_a_chunk_that_is_not_counted_ends_the_session(driver: Driver, count: bytes, home: QmailHome) -> None:
    line = ENVELOPE.replace(b"DATA\r\n", b"BDAT" + (count % len(SECOND) if b"%" in count else count) + b"\r\n")
    with driver.open(home, home.environment(QMAILFORK_EXTENSIONS="chunking")) as talk:
        talk.client.send(line + SECOND + b"QUIT\r\n")
        talk.client.half_close()
        codes = [reply[:3] for reply in talk.client.rest().split(b"\r\n")]
    assert codes == [b"220", b"250", b"250", b"501", b""]
    assert home.messages() == []


@pytest.mark.parametrize("driver", CHUNKING, ids=lambda driver: driver.name)
def test_a_refused_chunk_is_never_read_as_commands(driver: Driver, home: QmailHome) -> None:
    with driver.open(home, home.environment(QMAILFORK_EXTENSIONS="chunking")) as talk:
        talk.client.send(b"BDAT %d LAST\r\n%bQUIT\r\n" % (len(SECOND), SECOND))
        talk.client.half_close()
        codes = [reply[:3] for reply in talk.client.rest().split(b"\r\n")]
    assert codes == [b"220", b"503", b"221", b""]
    assert home.messages() == []


@pytest.mark.parametrize(("driver", "cell", "split"), cells(COMMANDS))
def test_line_end(driver: Driver, cell: tuple[bytes, str, bytes, str], split: int | None, home: QmailHome) -> None:
    variant, fate, reply, _ = cell
    with driver.open(home, home.environment()) as talk:
        Sent(b"NOOP x", variant, SECOND + b"QUIT\r\n", split).to(talk)
        codes = [line[:3] for line in talk.client.rest().split(b"\r\n")]
    accepted = [b"250", b"250", b"354", b"250"]
    refused = [b"503", b"503", b"502", b"502"]  # RCPT, DATA, and the message's two lines
    assert codes == [b"220", reply, *(accepted if fate == TWO else refused), b"221", b""]
    assert len(home.messages()) == (1 if fate == TWO else 0)


@pytest.mark.parametrize("hidden", [b"\0Tvictim@elsewhere.org", b"\0\0Fvictim@elsewhere.org"])
@pytest.mark.parametrize("driver", [driver for driver in DRIVERS if driver.ours], ids=lambda driver: driver.name)
def test_nothing_hides_in_an_address(driver: Driver, hidden: bytes, home: QmailHome) -> None:
    with driver.open(home, home.environment()) as talk:
        talk.client.send(
            b"MAIL FROM:<a%b@example.net>\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<joe%b@joedomain.net>\r\n"
            b"RCPT TO:<jim@joedomain.net>\r\nDATA\r\n.\r\nQUIT\r\n" % (hidden, hidden)
        )
        assert talk.client.rest().endswith(b"221 mail.joedomain.net\r\n")
    (stored,) = home.messages()
    assert b"jim@joedomain.net" in stored.recipients
    assert not any(b"elsewhere.org" in recipient for recipient in stored.recipients)
