"""The rows for one session on descriptors 0 and 1, as tcpserver runs it."""

from collections.abc import Callable

from tests.bench.measure import Dialogue, Row, in_turns, milliseconds, ratio, timed
from tests.bench.place import Place
from tests.drivers.memory import after_a_message
from tests.servers import REFERENCE, in_namespace, reference_there
from tests.support import PYTHON, QmailHome, build_fakes, smtpd

OPENING = b"HELO foo\r\nMAIL FROM:<a@example.net>\r\n"
RCPT = b"RCPT TO:<joe@joedomain.net>\r\n"
LINE = b"x" * 76 + b"\r\n"
LINES = 20_000_000 // len(LINE)
RECIPIENTS = 20  # in one go
COLD_BUDGET = 0.005  # seconds
LARGE_BUDGET = 3.0
CHUNKS_BUDGET = 0.95
CHECKER_BUDGET = 0.9
MEMORY_BUDGET = 4096  # KiB


def cold(place: Place) -> Row:
    """A whole session from exec to exit, beside an interpreter that does nothing."""
    quit_file = place.said("quit", b"QUIT\r\n")
    env = place.environment()
    ours, theirs = in_turns(
        place.runs * 10,
        lambda: timed(smtpd(), env, quit_file),
        lambda: timed([*PYTHON, "-c", "pass"], env, quit_file),
    )
    more = ours.best - theirs.best
    result = f"{milliseconds(more)} more (medians {milliseconds(ours.median - theirs.median)})"
    return Row(
        "cold start: a session of greeting and QUIT", milliseconds(ours.best), "`python3 -I -S -c pass`",
        milliseconds(theirs.best), result, f"≤ {COLD_BUDGET * 1000:g} ms more", more <= COLD_BUDGET,
    )  # fmt: skip


def large(place: Place) -> Row:
    """One message of 20 MB, from exec to exit, the same queue program behind both."""
    what, against = "a message of 20 MB, stdio", "qmail-smtpd in C"
    message = place.said("large", OPENING, RCPT, b"DATA\r\n", LINE * LINES, b".\r\nQUIT\r\n")
    env = place.environment()
    if not reference_there():
        (ours,) = in_turns(place.runs, lambda: timed(smtpd(), env, message))
        return Row(what, rate(ours.best), "no C qmail-smtpd here", "-", "-", f"≥ {LARGE_BUDGET} x")
    peer = in_namespace(place.path / "control", str(REFERENCE))
    ours, theirs = in_turns(place.runs, lambda: timed(smtpd(), env, message), lambda: timed(peer, env, message))
    result, best = ratio(ours, theirs)
    return Row(what, rate(ours.best), against, rate(theirs.best), result, f"≥ {LARGE_BUDGET} x", best >= LARGE_BUDGET)


def chunks(place: Place, size: int = 1_000_000) -> Row:
    """The same message in chunks of `size` octets, beside itself after DATA."""
    text = LINE * LINES
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    bdat = b"".join([b"BDAT %d\r\n%b" % (len(piece), piece) for piece in pieces])
    chunked = place.said("chunked", OPENING, RCPT, bdat, b"BDAT 0 LAST\r\nQUIT\r\n")
    whole = place.said("whole", OPENING, RCPT, b"DATA\r\n", text, b".\r\nQUIT\r\n")
    env = {**place.environment(), "QMAILFORK_EXTENSIONS": "chunking"}
    ours, theirs = in_turns(place.runs, lambda: timed(smtpd(), env, chunked), lambda: timed(smtpd(), env, whole))
    result, best = ratio(ours, theirs)
    what = f"a message of 20 MB in chunks of {size // 1000} kB, stdio"
    return Row(
        what, rate(ours.best), "the same after DATA", rate(theirs.best), result,
        f"≥ {CHUNKS_BUDGET} x", best >= CHUNKS_BUDGET,
    )  # fmt: skip


def small_chunks(place: Place) -> Row:
    """The same in chunks as clients with little memory send them."""
    return chunks(place, 65536)


def rate(seconds: float) -> str:
    return f"{LINES * len(LINE) / seconds / 1e6:.0f} MB/s"


def memory(place: Place) -> Row:
    """The most memory of a session with 20 MB, beside one with a small message."""
    home = QmailHome(place.path / "qmail", build_fakes(place.path / "fakes"))
    home.queue("queue-exit")
    small, _ = after_a_message(home, 1)
    big, _ = after_a_message(home, 256)
    return Row(
        "memory: a message of 20 MB, stdio", f"{big} KiB", "a message of 78 kB", f"{small} KiB",
        f"{big - small} KiB more", f"≤ {MEMORY_BUDGET} KiB more", big - small <= MEMORY_BUDGET,
    )  # fmt: skip


def checker(place: Place) -> Row:
    """A recipient with one checker, in the course of a session, beside spawning and waiting in C."""
    program = place.program("pass")
    env = place.environment(SMTPEXTFORKR=program)
    peer = [place.program("spawn"), str(RECIPIENTS), program]
    with Dialogue(smtpd(), env) as session, Dialogue(peer, env) as spawner:
        session.seconds(OPENING, OPENING.count(b"\n") + 1)
        ours, theirs = in_turns(
            place.runs * 30,
            lambda: session.seconds(RCPT * RECIPIENTS, RECIPIENTS) / RECIPIENTS,
            lambda: spawner.seconds(b"\n", 1) / RECIPIENTS,
        )
    result, best = ratio(ours, theirs)
    return Row(
        "a recipient with one checker, stdio", milliseconds(ours.best), "`posix_spawn` and wait in C",
        milliseconds(theirs.best), result, f"≥ {CHECKER_BUDGET} x", best >= CHECKER_BUDGET,
    )  # fmt: skip


ROWS: dict[str, Callable[[Place], Row]] = {
    "cold": cold, "large": large, "chunks": chunks, "small-chunks": small_chunks, "memory": memory, "checker": checker,
}  # fmt: skip
