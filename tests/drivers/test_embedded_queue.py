"""qmailfork-queue as a process: what it delivers, what it refuses and how, and what a signal leaves."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SCRIPT = TOP / "bin" / "qmailfork-queue"
CHEAP = [sys.executable, "-I", "-S"]
MESSAGE = b"Received: from mx.example.net (203.0.113.7)\n  by mail\nSubject: hello\n\nhello joe\n"
ENVELOPE = b"Fjohn@foodomain.net\0Tjoe@joedomain.net\0Tann@joedomain.net\0\0"
LONG = b"Subject: long\n\n" + b"0123456789abcdef\n" * 70000  # far above what is kept in memory


class Queue:
    """A running qmailfork-queue with its two pipes."""

    def __init__(self, maildir, command=(*CHEAP, SCRIPT), **changes):
        message, self.message = os.pipe()
        envelope, self.envelope = os.pipe()
        environment = os.environ | {"QMAILFORK_MAILDIR": str(maildir)} | changes
        self.process = subprocess.Popen(
            command, stdin=message, stdout=envelope, stderr=subprocess.PIPE, env=environment
        )
        os.close(message)
        os.close(envelope)

    def write(self, descriptor, data):
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except BrokenPipeError:  # it has already said no
            pass

    def send(self, message=MESSAGE, envelope=ENVELOPE):
        self.write(self.message, message)
        os.close(self.message)
        self.write(self.envelope, envelope)
        os.close(self.envelope)
        return self.end()

    def end(self):
        with self.process.stderr as said:
            self.said = said.read().decode()
        return self.process.wait()


@pytest.fixture
def maildir(tmp_path):
    for name in ("tmp", "new", "cur"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    return tmp_path / "Maildir"


def new(maildir):
    return sorted((maildir / "new").iterdir())


def drafts(maildir):
    return sorted((maildir / "tmp").iterdir())


def await_draft(maildir):
    deadline = time.monotonic() + 30
    while not drafts(maildir):
        assert time.monotonic() < deadline, "no file in tmp/"
        os.sched_yield()


def test_a_message_is_one_file_below_its_envelope(maildir):
    queue = Queue(maildir)
    assert queue.send() == 0
    (delivered,) = new(maildir)
    fields, rest = delivered.read_bytes().split(b"Received: ", 1)
    assert fields == (
        b"Return-Path: <john@foodomain.net>\nDelivered-To: joe@joedomain.net\nDelivered-To: ann@joedomain.net\n"
    )
    trace, message = rest.split(b"\n", 1)
    pattern = rb"\(qmailfork-queue %d invoked by uid %d\); \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000"
    assert re.fullmatch(pattern % (queue.process.pid, os.getuid()), trace)
    assert message == MESSAGE
    assert delivered.stat().st_mode & 0o7777 == 0o600
    assert drafts(maildir) == []
    assert queue.said == ""


def test_a_first_line_that_begins_with_a_blank_folds_into_no_address(maildir):
    assert Queue(maildir).send(message=b" , forged@example.net\n\nhi\n") == 0
    (delivered,) = new(maildir)
    assert b"Delivered-To: ann@joedomain.net\nReceived: (qmailfork-queue" in delivered.read_bytes()


@pytest.mark.parametrize("message", [b"", b"no line feed at its end", b"\0\xff\r\n.\r\n\n", LONG])
def test_the_octets_of_a_message_stay_as_they_are(maildir, message):
    assert Queue(maildir).send(message) == 0
    (delivered,) = new(maildir)
    assert delivered.read_bytes().split(b" -0000\n", 1)[1] == message
    assert drafts(maildir) == []


def memory_after(maildir, blocks):
    """Return the memory (KiB) of a queue that has read so many blocks and waits for the envelope."""
    queue = Queue(maildir)
    for _ in range(blocks):
        queue.write(queue.message, LONG)
    resident = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(queue.process.pid)], capture_output=True, check=True
    ).stdout
    assert queue.send(b"") == 0
    return int(resident)


def test_memory_stays_flat_for_a_long_message(maildir):
    assert memory_after(maildir, 17) - memory_after(maildir, 1) < 4096  # 20 MB and 1.2


@pytest.mark.parametrize("length", range(len(b"Fa@b\0Tc@d\0\0")))
def test_an_envelope_cut_off_at_any_octet_delivers_nothing(maildir, length):
    queue = Queue(maildir)
    assert queue.send(envelope=b"Fa@b\0Tc@d\0\0"[:length]) == 54
    assert queue.said == "qmailfork-queue: the envelope ends early\n"
    assert new(maildir) + drafts(maildir) == []


@pytest.mark.parametrize(
    ("envelope", "code", "reason"),
    [
        (b"Xa@b\0\0", 91, "the envelope is malformed: no F where one must be"),
        (b"Fa@b\0c@d\0\0", 91, "the envelope is malformed: no T where one must be"),
        (b"Fa@b\0T" + b"c" * 1003 + b"\0\0", 11, "the envelope has an address of more than 1002 octets"),
    ],
)
def test_a_malformed_envelope_delivers_nothing(maildir, envelope, code, reason):
    queue = Queue(maildir)
    assert queue.send(envelope=envelope) == code
    assert queue.said == f"qmailfork-queue: {reason}\n"
    assert new(maildir) + drafts(maildir) == []


def test_a_closed_descriptor_is_a_read_error(maildir):
    queue = Queue(maildir, ["sh", "-c", 'exec "$@" <&-', "sh", *CHEAP, SCRIPT])
    assert queue.send(b"") == 54
    assert queue.said == "qmailfork-queue: reading the message: Bad file descriptor\n"


@pytest.mark.parametrize("message", [MESSAGE, LONG], ids=["short", "long"])
def test_a_full_disk_is_53(maildir, message):
    queue = Queue(maildir, ["softlimit", "-f", "64", *CHEAP, SCRIPT])
    assert queue.send(message) == 53
    assert queue.said == "qmailfork-queue: tmp: File too large\n"
    assert new(maildir) + drafts(maildir) == []


def spoil(maildir, name):
    shutil.rmtree(maildir / name)
    (maildir / name).write_bytes(b"")


@pytest.mark.parametrize(("name", "code"), [("", 61), ("new", 62), ("tmp", 63)])
def test_a_maildir_that_is_none_is_refused_with_its_part(maildir, name, code):
    spoil(maildir, name)
    queue = Queue(maildir)
    assert queue.send() == code
    assert queue.said == f"qmailfork-queue: {name or maildir}: Not a directory\n"


def test_a_missing_maildir_is_61_and_is_not_made(tmp_path):
    queue = Queue(tmp_path / "gone\nqmail-smtpd: \x1b[1m\x85")
    assert queue.send() == 61
    place = f"{tmp_path}/gone?qmail-smtpd: ?[1m?"
    assert queue.said == f"qmailfork-queue: {place}: No such file or directory\n"
    assert list(tmp_path.iterdir()) == []


def test_a_maildir_that_loses_its_new_is_64(maildir):
    queue = Queue(maildir)
    os.close(queue.message)
    queue.write(queue.envelope, b"Fa@b\0")
    await_draft(maildir)
    (maildir / "new").rmdir()
    queue.write(queue.envelope, b"Tc@d\0\0")
    assert queue.end() == 64
    assert queue.said == "qmailfork-queue: new: No such file or directory\n"
    assert drafts(maildir) == []


def test_an_unset_variable_is_55(maildir):
    queue = Queue(maildir, QMAILFORK_MAILDIR="")
    assert queue.send() == 55
    assert queue.said == "qmailfork-queue: QMAILFORK_MAILDIR is not set\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 71), (signal.SIGALRM, 52)])
@pytest.mark.parametrize("envelope", [b"", b"Fa@b\0Tc@d\0"], ids=["before", "within"])
def test_a_signal_leaves_no_message(maildir, number, code, envelope):
    queue = Queue(maildir)
    queue.write(queue.message, LONG)
    if envelope:
        os.close(queue.message)
        queue.write(queue.envelope, envelope)
        await_draft(maildir)
    queue.process.send_signal(number)
    assert queue.end() == code
    assert new(maildir) == []
    assert drafts(maildir) == [] or number == signal.SIGKILL
    assert queue.said.count("\n") == (number != signal.SIGKILL)


def test_a_disk_that_does_not_take_the_directory_leaves_no_message(maildir, unsafe_directory):
    queue = Queue(maildir, LD_PRELOAD=str(unsafe_directory))
    assert queue.send() == 53
    assert queue.said == "qmailfork-queue: new: Input/output error\n"
    assert new(maildir) == drafts(maildir) == []


def test_a_signal_right_before_a_wait(maildir, late_signal):
    queue = Queue(maildir, LD_PRELOAD=str(late_signal), LATE_SIGNAL="1")
    assert queue.end() == 71
    assert queue.said == "qmailfork-queue: ended by SIGTERM\n"


def test_a_signal_as_the_message_is_published_comes_too_late(maildir, late_signal):
    queue = Queue(maildir, LD_PRELOAD=str(late_signal), LATE_SIGNAL="rename")
    assert (queue.send(), queue.said) == (0, "")
    assert len(new(maildir)) == 1


def test_signals_of_a_terminal_do_not_end_it(maildir):
    queue = Queue(maildir)
    queue.write(queue.message, LONG)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        queue.process.send_signal(number)
    assert queue.send(b"") == 0
    assert len(new(maildir)) == 1


def test_deliveries_at_once_have_names_of_their_own(maildir):
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: Queue(maildir).send(), range(24)))
    assert codes == [0] * 24
    assert len(new(maildir)) == 24
    assert all(re.fullmatch(r"\d+\.M\d+P\d+R[0-9a-f]{16}\.[^/:]+", one.name) for one in new(maildir))


def installed(prefix, packages):
    """Lay out an installed tree: what pip makes of bin/ and the package."""
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib").mkdir()
    shutil.copy(SCRIPT, prefix / "bin")
    shutil.copytree(TOP / "qmailfork", prefix / packages / "qmailfork")
    return prefix / "bin" / SCRIPT.name


OWN = f"python3.{sys.version_info[1]}"


@pytest.mark.parametrize("packages", [f"lib/{OWN}/site-packages", f"local/lib/{OWN}/dist-packages"])
def test_an_installed_script_finds_its_package_without_site(tmp_path, maildir, packages):
    script = installed(tmp_path / "prefix", packages)
    elsewhere = Path(sys.base_prefix) / "bin" / OWN  # an interpreter that no site-packages has told of this clone
    assert Queue(maildir, [elsewhere, "-I", "-S", script]).send() == 0


def test_it_runs_by_its_name_alone(maildir):
    first = Path(sys.executable).parent
    assert Queue(maildir, [SCRIPT], PATH=f"{first}:{os.environ['PATH']}").send() == 0


def test_its_start_imports_nothing_dear(maildir):
    queue = Queue(maildir, [*CHEAP, "-X", "importtime", SCRIPT])
    assert queue.send() == 0
    imported = {line.rpartition("|")[2].strip() for line in queue.said.splitlines() if "|" in line}
    bare = subprocess.run([*CHEAP, "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True)
    own = imported - {line.rpartition("|")[2].strip() for line in bare.stderr.splitlines()}
    assert {name for name in own if not name.startswith("qmailfork")} <= {"errno", "gc", "select", "time"}
    assert "qmailfork.drivers.embedded_queue" in own
