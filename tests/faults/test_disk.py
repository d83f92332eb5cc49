"""The embedded queue on a disk that is full, or read-only: the client hears so, and no message is there by half."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import Talk, serve
from tests.sessions import begin, rcpt, send
from tests.support import PYTHON, QmailHome, queue, smtpd

MOUNT = """
import os, sys
place, options, after = sys.argv[1:4]
os.makedirs(place, exist_ok=True)
os.spawnvp(os.P_WAIT, "mount", ["mount", "-t", "tmpfs", "-o", options, "none", place])
for name in ("tmp", "new", "cur"):
    os.makedirs(f"{place}/Maildir/{name}")
if after:
    os.spawnvp(os.P_WAIT, "mount", ["mount", "-o", "remount," + after, place])
os.execvp(sys.argv[4], sys.argv[4:])
"""
FULL = b"451 qq write error or disk full (#4.3.0)"
BIG, SMALL = b"Subject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * 1300, b"Subject: x\r\n\r\nhello\r\n"


def can_mount() -> bool:
    """Whether a private mount namespace can be had, with a disk of our own in it."""
    if os.geteuid() != 0:
        return False
    try:
        trial = [*PYTHON, "-c", MOUNT, "/mnt", "size=64k", "", "true"]
        return subprocess.run(["unshare", "-m", *trial], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def embedded(home: QmailHome) -> None:
    """The embedded queue in the place of qmail-queue."""
    home.queue(None)
    program = home.path / "bin" / "qmail-queue"
    program.write_text(f"#!/bin/sh\nexec {' '.join(queue())}\n")
    program.chmod(0o755)


@contextmanager
def on_disk(home: QmailHome, options: str, after: str = "") -> Iterator[tuple[Talk, Path]]:
    """A session whose queue has a small disk of its own, and the Maildir on it as it is seen from here."""
    embedded(home)
    place = home.path / "disk"
    argv = ["unshare", "-m", *PYTHON, "-c", MOUNT, str(place), options, after, *smtpd()]
    with serve(argv, home, home.environment(QMAILFORK_MAILDIR=str(place / "Maildir"))) as talk:
        assert talk.client.reply() == [b"220 mail.joedomain.net ESMTP"]
        assert talk.process
        yield talk, Path(f"/proc/{talk.process.pid}/root{place}/Maildir")


def bodies(maildir: Path) -> list[bytes]:
    """What is in new/, from the subject on; nothing may be left in tmp/."""
    assert os.listdir(maildir / "tmp") == []
    texts = [(maildir / "new" / name).read_bytes() for name in os.listdir(maildir / "new")]
    return [text[text.index(b"Subject:") :] for text in texts]


def sent(talk: Talk, message: bytes) -> bytes:
    begin(talk)
    assert rcpt(talk, "joe") == b"250 ok"
    return send(talk, message)


@pytest.mark.skipif(not can_mount(), reason="a disk to fill up needs root and mount namespaces")
def test_a_full_disk(home: QmailHome) -> None:
    with on_disk(home, "size=256k") as (talk, maildir):
        replies = [sent(talk, BIG) for _ in range(4)]
        assert [reply[:3] for reply in replies[:2]] == [b"250", b"250"]
        assert replies[2:] == [FULL, FULL]
        assert bodies(maildir) == [BIG.replace(b"\r\n", b"\n")] * 2
        (maildir / "new" / os.listdir(maildir / "new")[0]).unlink()
        assert sent(talk, SMALL).startswith(b"250 ")
        assert sorted(map(len, bodies(maildir))) == sorted(len(m.replace(b"\r\n", b"\n")) for m in (BIG, SMALL))


@pytest.mark.skipif(not can_mount(), reason="a disk without inodes needs root and mount namespaces")
def test_a_disk_without_inodes(home: QmailHome) -> None:
    with on_disk(home, "size=1m,nr_inodes=8") as (talk, maildir):
        replies = [sent(talk, SMALL) for _ in range(6)]
        taken = [reply for reply in replies if reply.startswith(b"250 ")]
        assert 0 < len(taken) < 6
        assert all(reply[:3] in (b"250", b"451") for reply in replies), replies
        assert len(bodies(maildir)) == len(taken)


@pytest.mark.skipif(not can_mount(), reason="a read-only disk needs root and mount namespaces")
def test_a_read_only_disk(home: QmailHome) -> None:
    with on_disk(home, "size=1m", "ro") as (talk, maildir):
        assert sent(talk, SMALL)[:3] == b"451"
        assert sent(talk, BIG)[:3] == b"451"
        assert bodies(maildir) == []
        assert talk.client.command("NOOP") == [b"250 ok"]


def test_a_file_that_may_not_grow(home: QmailHome) -> None:
    """The limit on a file's size stands in for a full disk where none can be made."""
    embedded(home)
    maildir = home.path / "Maildir"
    for name in ("tmp", "new", "cur"):
        (maildir / name).mkdir(parents=True)
    argv = ["prlimit", "--fsize=50000", "--", *smtpd()]
    with serve(argv, home, home.environment(QMAILFORK_MAILDIR=str(maildir))) as talk:
        talk.client.reply()
        assert sent(talk, SMALL).startswith(b"250 ")
        assert sent(talk, BIG) == FULL
        assert sent(talk, SMALL).startswith(b"250 ")
    assert bodies(maildir) == [SMALL.replace(b"\r\n", b"\n")] * 2
