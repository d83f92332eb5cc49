"""The embedded queue, qmailfork-queue(8): from the qmail-queue interface on fd 0 and 1 into a Maildir."""

import posix
from time import gmtime

from qmailfork.programs.envelope import READ_ERROR, Refused, addresses, delivered_to, return_path
from qmailfork.smtp import received
from qmailfork.system import signals
from qmailfork.system.maildir import Draft, Refusing, Spool, blocks_of, enter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NO_MEMORY, TIMEOUT, CONFIGURATION, TOLD_TO_END, INTERNAL_BUG = 51, 52, 55, 71, 81
PATIENCE = 86400  # seconds for the whole message, as in qmail-queue.c

_MESSAGE, _ENVELOPE, _LOG = 0, 1, 2
_PRINTABLE = dict.fromkeys((*range(32), *range(127, 160)), "?")


def main() -> None:
    """Take one message, deliver it, and end the process with an exit code of qmail-queue(8)."""
    try:
        _limit_life()
        _take_message()
        code = 0
    except Refused as refused:
        code = _explain(refused.code, refused.reason)
    except MemoryError:
        code = _explain(NO_MEMORY, "out of memory")
    except Exception as fault:
        code = _explain(INTERNAL_BUG, f"internal bug: {fault!r}")
    posix._exit(code)


def _limit_life() -> None:
    for number in (signals.SIGHUP, signals.SIGINT, signals.SIGQUIT):  # qmail-queue.c ignores these too
        signals.signal(number, signals.SIG_IGN)
    signals.signal(signals.SIGALRM, _out_of_time)
    signals.signal(signals.SIGTERM, _told_to_end)
    signals.alarm(PATIENCE)


def _out_of_time(number: int, frame: object) -> None:
    raise Refused(TIMEOUT, f"the message was not complete after {PATIENCE} seconds")


def _told_to_end(number: int, frame: object) -> None:
    raise Refused(TOLD_TO_END, "ended by SIGTERM")


def _take_message() -> None:
    path = posix.environ.get(b"QMAILFORK_MAILDIR")
    if not path:
        raise Refused(CONFIGURATION, "QMAILFORK_MAILDIR is not set")
    enter(path.decode("utf-8", "surrogateescape"))
    spool = Spool()
    for block in _read(_MESSAGE, "message"):
        spool.add(block)
    _deliver(spool)


def _deliver(spool: Spool) -> None:
    draft = Draft()
    try:
        draft.create()
        for piece in _above(addresses(_read(_ENVELOPE, "envelope"))):
            draft.write(piece)
        for block in spool.blocks():
            draft.write(block)
        draft.secure()
        _forget_signals()
        draft.publish()
    except BaseException:
        draft.discard()
        raise


def _forget_signals() -> None:
    """From here on the outcome stands: the message may be in new/, or what was wrong with it is being said."""
    signals.signal(signals.SIGALRM, signals.SIG_IGN)
    signals.signal(signals.SIGTERM, signals.SIG_IGN)


def _above(envelope: "Iterator[bytes]") -> "Iterator[bytes]":
    """Yield the fields above a message; Received comes last, for a first line may fold into what is above."""
    yield return_path(next(envelope))
    for recipient in envelope:
        yield delivered_to(recipient)
    who = b"qmailfork-queue %d invoked by uid %d" % (posix.getpid(), posix.getuid())
    yield b"Received: (%b); %b\n" % (who, received.date(gmtime()))


def _read(descriptor: int, name: str) -> "Iterator[bytes]":
    with Refusing(READ_ERROR, f"reading the {name}"):
        yield from blocks_of(descriptor)


def _explain(code: int, reason: str) -> int:
    _forget_signals()
    line = f"qmailfork-queue: {reason.translate(_PRINTABLE)}\n"
    try:
        posix.write(_LOG, line.encode("utf-8", "backslashreplace"))
    except OSError:  # nobody hears it; the exit code still tells
        pass
    return code
