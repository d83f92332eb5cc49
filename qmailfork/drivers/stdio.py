"""One session on descriptors 0 and 1, blocking: what tcpserver runs."""

import posix
import select
import sys
from time import gmtime, monotonic, sleep

from qmailfork.conversation import requests
from qmailfork.conversation.conduct import converse
from qmailfork.conversation.requests import Ending, Opened
from qmailfork.conversation.settings import ControlFault
from qmailfork.programs import events
from qmailfork.programs.journal import Event
from qmailfork.programs.outcome import UNSTARTED, Outcome
from qmailfork.smtp import replies
from qmailfork.system import children, config, log, queue, signals, spawn
from qmailfork.system.queue import Handover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmailfork.conversation.requests import Asking
    from qmailfork.system.channel import Channel
    from qmailfork.system.residents import Residents
    from qmailfork.system.wrapped import Wrapped

IN, OUT, LOG = 0, 1, 2
ENDS = (signals.SIGTERM, signals.SIGINT)
AT_ONCE = 4096  # octets that a writable descriptor takes without blocking


class Terminated(Exception):
    """SIGTERM or SIGINT came."""


def main() -> int:
    """Serve the client on descriptors 0 and 1: the exit status."""
    environment = config.received()
    style, number = config.style(environment), posix.getpid()
    try:
        null = spawn.seal()
        controls = _at_home(environment, [word.encode(errors="surrogateescape") for word in sys.argv[1:]])
        settings = config.settings(controls, environment)
    except ControlFault as fault:
        peer = config.peer(environment)
        log.write(LOG, style(number, events.unbegun(str(fault), peer.ip, peer.host)))
        _send(replies.NO_CONTROLS, config.SECONDS)
        return 1
    driver = Driver(environment, null, log.writer(LOG, style, number))
    try:
        signals.signal(signals.SIGTERM, _terminate)
        if signals.getsignal(signals.SIGINT) != signals.SIG_IGN:  # as a shell has it for what runs in its background
            signals.signal(signals.SIGINT, _terminate)
        ending = driver.drive(converse(settings, config.peer(environment)))
        driver.say_goodbye(ending.reply, settings.seconds)
        _ignore_ends()
    except Terminated:
        return 1
    finally:
        driver.leave()
    return ending.status


def _at_home(environment: dict[bytes, bytes], wrapped: list[bytes]) -> config.Controls:
    if wrapped:
        wrapped[0] = spawn.located(wrapped[0], environment)
    home = config.absolute(config.home(environment))
    try:
        posix.chdir(home)
    except OSError as fault:
        raise ControlFault(f"{home.decode(errors='surrogateescape')}: {fault.strerror}") from None
    return config.Controls(home, wrapped)


def _terminate(number: int, frame: object) -> None:
    _ignore_ends()  # a second one would break off the clearing up after the first
    raise Terminated


def _ignore_ends() -> None:
    for number in ENDS:
        signals.signal(number, signals.SIG_IGN)


class Driver:
    """Answers the conversation's requests, one after the other.

    `environment` is the session's, `null` a descriptor of /dev/null, `log` writes an event; programs have `errors`
    as their descriptor 2.
    """

    def __init__(
        self, environment: dict[bytes, bytes], null: int, log: "Callable[[Event], None]", errors: int = LOG
    ) -> None:
        self._environment = environment
        self._null = null
        self._errors = errors
        self._queue: Handover | None = None
        self._residents: Residents | None = None
        self._secure: Channel | None = None
        self._wrapped: Wrapped | None = None
        self._answers: dict[type, Callable[[Any], object]] = {
            requests.Exchange: self._exchange,
            requests.Listen: self._exchange,
            requests.Wait: self._wait,
            requests.StartTls: self._start_tls,
            requests.Lookup: self._look_up,
            requests.Run: self._run,
            requests.Entrust: self._entrust,
            requests.RunWarm: self._run,  # nothing here outlives the session
            requests.Consult: self._consult,
            requests.Open: self._open,
            requests.Write: self._write,
            requests.Finish: self._finish,
            requests.Abandon: self._abandon,
            requests.Start: self._start,
            requests.Tell: self._tell,
            requests.Hear: lambda request: self._child.hear(request.seconds),
            requests.Tunnel: self._tunnel,
            requests.Note: lambda request: log(request.event),
        }

    def drive(self, conversation: "Asking[Ending]") -> Ending:
        """Hold the conversation to its end. Raises Terminated; then nothing of the session is left."""
        answer: object = None
        try:
            while True:
                request = conversation.send(answer)
                answer = self.answer(request)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # the generator's own Ending
        finally:
            self._close_queue()

    def answer(self, request: requests.Request) -> object:
        """The answer to one request."""
        return self._answers[type(request)](request)

    def _exchange(self, request: requests.Exchange) -> bytes | None:
        if request.reply and not self._answer(request.reply, request.seconds):
            return b""
        if self._secure:
            return self._secure.receive(request.most, request.seconds)
        return _receive(request.most, request.seconds)

    def _answer(self, reply: bytes, seconds: float) -> bool:
        sent = self._send(reply, seconds)
        # from the end of a message to its reply, a signal would make the client send it again
        signals.pthread_sigmask(signals.SIG_UNBLOCK, ENDS)
        return sent

    def _wait(self, request: requests.Wait) -> None:
        if self._answer(request.reply, config.SECONDS):
            sleep(request.seconds)

    def _send(self, reply: bytes, seconds: float) -> bool:
        return _send(self._secure.seal(reply) if self._secure else reply, seconds)

    def say_goodbye(self, reply: bytes, seconds: float) -> None:
        """Send the last `reply`, and see that closing the connection does not take it back."""
        sent = self._send(reply, seconds)
        if self._secure:
            _send(self._secure.farewell(), seconds)
        if reply and sent and _receive(AT_ONCE, 0.0):
            from qmailfork.system import parting  # noqa: PLC0415  # most clients say nothing behind QUIT

            parting.hear_out(IN, OUT)

    def _start_tls(self, request: requests.StartTls) -> requests.Secured | requests.Insecure:
        if request.tls.server:
            from qmailfork.system import ucspitls  # noqa: PLC0415  # few servers do TLS for us

            if not _send(request.reply, request.seconds):
                return requests.Insecure(b"connection closed", begun=True)
            return ucspitls.start(request.tls.server, request.seconds)
        from qmailfork.system.channel import Channel, begin  # noqa: PLC0415  # ssl costs more than a session in plain

        answer = begin(request, _send, _receive)
        if isinstance(answer, Channel):
            self._secure = answer
            return requests.Secured(answer.facts)
        return answer

    def _look_up(self, request: requests.Lookup) -> list[bytes] | ControlFault | None:
        try:
            from qmailfork.system import names  # noqa: PLC0415  # the library is dearer than the session
        except ControlFault as fault:
            return fault
        return names.look_up(request.name, request.kinds, request.seconds)

    def _run(self, request: requests.Run, more: tuple[tuple[int, int], ...] = ()) -> Outcome:
        began = monotonic()
        try:
            return self._check(request, began, more)
        except OSError as fault:
            signals.pthread_sigmask(signals.SIG_UNBLOCK, ENDS)
            return Outcome(UNSTARTED, fault.errno or 0, b"", (monotonic() - began) * 1000)

    def _entrust(self, request: requests.Entrust) -> Outcome:
        try:
            secret = spawn.confided(request.secret)
        except OSError as fault:
            return Outcome(UNSTARTED, fault.errno or 0)
        try:
            return self._run(request, ((secret, 3),))
        finally:
            posix.close(secret)

    def _check(self, request: requests.Run, began: float, more: tuple[tuple[int, int], ...]) -> Outcome:
        """Run a checker. Raises OSError where it cannot be started, or not be waited for."""
        ours, its = posix.pipe()
        try:
            environment = spawn.merged(self._environment, request.environment)
            descriptors = spawn.as_checker(self._null, self._errors, its, request.captured, more)
            signals.pthread_sigmask(signals.SIG_BLOCK, ENDS)  # it would end us and leave behind what we just started
            pid = spawn.launch(request.command, environment, descriptors)
            return children.outcome(pid, ours, request.seconds, request.OUTPUT, began, ENDS)
        finally:
            posix.close(ours)
            posix.close(its)  # only now: the end of the output would wake us, and then the program's end again

    def _consult(self, request: requests.Consult) -> Outcome:
        if self._residents is None:
            from qmailfork.system.residents import Residents  # noqa: PLC0415  # few lists name a resident checker

            self._residents = Residents(request.LONGEST)
        return self._residents.ask(request.address, request.question, request.end, request.seconds)

    @property
    def _child(self) -> "Wrapped":
        assert self._wrapped
        return self._wrapped

    def _start(self, request: requests.Start) -> bytes | None:
        from qmailfork.system.wrapped import Wrapped  # noqa: PLC0415  # few sessions wrap anything

        self.leave()
        try:
            environment = spawn.merged(self._environment, request.environment)
            self._wrapped = Wrapped(request.argv, environment, self._errors)
        except OSError as fault:
            return spawn.reason(request.argv[0], fault)
        return None

    def _tell(self, request: requests.Tell) -> bool:
        if request.last:
            signals.pthread_sigmask(signals.SIG_BLOCK, ENDS)
        return self._child.tell(request.octets, request.seconds)

    def _tunnel(self, request: requests.Tunnel) -> None:
        if _send(request.reply, request.seconds):
            self._child.tunnel(request.seconds)

    def leave(self) -> None:
        """Leave the wrapped smtpd, if there is one."""
        if self._wrapped:
            self._wrapped.close()
            self._wrapped = None

    def _open(self, request: requests.Open) -> Opened | bytes:
        try:
            environment = spawn.merged(self._environment, request.environment)
            self._queue = Handover(request.program, environment, self._errors)
        except OSError as fault:
            return spawn.reason(request.program, fault)
        return Opened(self._queue.pid, gmtime())

    def _write(self, request: requests.Write) -> None:
        if self._queue:
            queue.give(self._queue, self._queue.message, request.piece)

    def _finish(self, request: requests.Finish) -> tuple[Outcome, bool]:
        handover = self._queue
        assert handover
        signals.pthread_sigmask(signals.SIG_BLOCK, ENDS)
        outcome = queue.finish(handover, request.envelope)
        self._close_queue()
        return outcome, not handover.broken

    def _abandon(self, request: requests.Abandon) -> None:
        assert self._queue
        queue.abandon(self._queue)
        self._close_queue()

    def _close_queue(self) -> None:
        """Let go of the queue program: it has the envelope whole, or sees none."""
        if self._queue:
            for end in self._queue.open_ends():
                posix.close(end)
            self._queue = None


def _send(reply: bytes, seconds: float) -> bool:
    """Send `reply` to the client; False where it is gone or does not read for `seconds`."""
    try:
        while reply:
            if not children.ready(OUT, select.POLLOUT, seconds):
                return False
            reply = reply[posix.write(OUT, reply[:AT_ONCE]) :]
    except OSError:
        return False
    return True


def _receive(most: int, seconds: float) -> bytes | None:
    """What the client sends: b"" where it is gone, None where nothing comes for `seconds`."""
    if not children.ready(IN, select.POLLIN, seconds):
        return None
    try:
        return posix.read(IN, most)
    except OSError:
        return b""
