"""One session on the event loop: answers the conversation's requests, one after the other, without ever blocking."""

import posix
import traceback
from time import gmtime

from qmailfork.conversation import requests
from qmailfork.conversation.requests import Ending, Opened
from qmailfork.drivers.worker.child import Child
from qmailfork.drivers.worker.children import Run
from qmailfork.drivers.worker.client import NEVER, Client
from qmailfork.drivers.worker.link import Link, Site
from qmailfork.drivers.worker.queue import Queue
from qmailfork.programs.outcome import UNSTARTED, Outcome
from qmailfork.system import spawn
from qmailfork.system.queue import Handover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from qmailfork.conversation.requests import Asking
    from qmailfork.drivers.worker.idle import Idle
    from qmailfork.drivers.worker.secure import Secure

LATER = object()  # the answer comes with a later event
CRASHED = 111  # the status of a session that a fault of ours ended


class Session:
    """The driver of one conversation with its `client`."""

    __slots__ = (
        "_child", "_conversation", "_gone", "_idle", "_link", "_queue", "_secure", "_site", "_variables", "client",
    )  # fmt: skip

    def __init__(self, site: Site, link: Link, conversation: "Asking[Ending]") -> None:
        self._site = site
        self._link = link
        self._conversation = conversation
        self.client = Client(site, link)
        self._gone = False
        self._queue: Queue | None = None
        self._secure: Secure | None = None
        self._variables: dict[bytes, bytes] | None = None
        self._child: Child | None = None
        self._idle: Idle | None = None

    def resume(self, answer: object) -> None:
        """Go on with the `answer` to the last request, up to the next one that takes time."""
        try:
            while answer is not LATER:
                request = self._conversation.send(answer)
                answer = _ANSWERS[type(request)](self, request)
        except StopIteration as end:
            self._say_goodbye(end.value)
        except Exception:
            self._link.complain(traceback.format_exc())
            self._close(CRASHED)

    # the client

    def _exchange(self, request: requests.Exchange) -> object:
        if self._gone:
            self._say_anyway(request.reply)
            return b""
        if self._secure:
            self._secure.exchange(request)
        else:
            self.client.talk(request.reply, request.seconds, request.most, self.resume)
        return LATER

    def _say_anyway(self, reply: bytes) -> None:
        """Who brought the client is gone, it may not be: one whose message was taken would send it again."""
        if reply:
            self.client.try_to_tell(self._secure.seal(reply) if self._secure else reply)

    def _start_tls(self, request: requests.StartTls) -> object:
        if self._gone:
            return requests.Insecure(b"connection closed", begun=True)
        if request.tls.server:
            from qmailfork.drivers.worker import ucspi  # noqa: PLC0415  # few servers do TLS for us

            return ucspi.begin(self, self._link, request) or LATER
        from qmailfork.drivers.worker.secure import Secure  # noqa: PLC0415  # ssl is for those who have a certificate

        self._secure = Secure(self, self._site.reactor.loop)
        return self._secure.begin(request) or LATER

    def _rest_awhile(self) -> "Idle":
        if self._idle is None:
            from qmailfork.drivers.worker.idle import Idle  # noqa: PLC0415  # few sites let clients wait

            self._idle = Idle(self, self._site.reactor.loop)
        return self._idle

    def _wait(self, request: requests.Wait) -> object:
        if self._gone:
            self._say_anyway(request.reply)
            return None
        idle = self._rest_awhile()
        reply = self._secure.seal(request.reply) if self._secure else request.reply
        self.client.send(reply, lambda sent: idle.pause(request.seconds if sent else 0.0))
        return LATER

    def _look_up(self, request: requests.Lookup) -> object:
        self._rest_awhile().look_up(request)
        return LATER

    def resume_soon(self, answer: object) -> None:
        """Go on with `answer` in the next turn."""
        self._site.reactor.loop.call_soon(self.resume, answer)

    def plain(self) -> None:
        """There is no TLS after all."""
        self._secure = None

    def hang_up(self) -> None:
        """The client is gone, though its descriptors do not tell."""
        self._gone = True
        if self._idle:
            self._idle.wake()
        self.client.hang_up()

    @property
    def deadline(self) -> float:
        """When the client's patience, or ours, ends."""
        return min(self.client.deadline, self._child.deadline) if self._child else self.client.deadline

    def expire(self) -> None:
        """The deadline is over, or the listener's patience: that does not count while a message is the child's."""
        child = self._child
        if child:
            if child.is_settling():
                return
            child.deadline = NEVER
        if self._idle:
            self._idle.wake()
        if not self.client.expire() and child:
            child.expire()

    # the programs

    def _environment(self) -> dict[bytes, bytes]:
        if self._variables is None:
            self._variables = self._link.environment()
        posix.fchdir(self._link.home)
        return self._variables

    def _run(self, request: requests.Run) -> object:
        environment = spawn.merged(self._environment(), request.environment)
        site = self._site
        Run(site.reactor, site.reaper, site.null, self._link.errors, request, environment, self.resume)
        return LATER

    def _entrust(self, request: requests.Entrust) -> object:
        site, environment = self._site, spawn.merged(self._environment(), request.environment)
        try:
            secret = spawn.confided(request.secret)
        except OSError as fault:
            return Outcome(UNSTARTED, fault.errno or 0)
        more = ((secret, 3),)
        Run(site.reactor, site.reaper, site.null, self._link.errors, request, environment, self.resume, more)
        posix.close(secret)
        return LATER

    def _run_warm(self, request: requests.RunWarm) -> object:
        environment = spawn.merged(self._environment(), request.environment)
        place = self._link.errors, self._link.home
        if self._site.preloads.run(request, environment, place, self.resume):
            return LATER
        return self._run(request)

    def _consult(self, request: requests.Consult) -> object:
        self._site.residents.ask(request, self._link.home, self.resume)
        return LATER

    def _open(self, request: requests.Open) -> Opened | bytes:
        try:
            environment = spawn.merged(self._environment(), request.environment)
            handover = Handover(request.program, environment, self._link.errors)
        except OSError as fault:
            return spawn.reason(request.program, fault)
        self._queue = Queue(self._site.reactor, self._site.reaper, handover)
        return Opened(handover.pid, gmtime())

    def _write(self, request: requests.Write) -> object:
        assert self._queue
        return None if self._queue.write(request.piece, lambda: self.resume(None)) else LATER

    def _finish(self, request: requests.Finish) -> object:
        assert self._queue
        self._queue.finish(request.envelope, self._finished)
        return LATER

    def _finished(self, outcome: Outcome, complete: bool) -> None:
        self._queue = None
        self.resume((outcome, complete))

    def _abandon(self, request: requests.Abandon) -> object:
        assert self._queue
        self._queue.abandon(self._abandoned)
        return LATER

    def _abandoned(self) -> None:
        self._queue = None
        self.resume(None)

    # the wrapped smtpd

    def _start(self, request: requests.Start) -> bytes | None:
        if self._child:
            self._child.leave()
            self._child = None
        try:
            environment = spawn.merged(self._environment(), request.environment)
            self._child = Child(self, self._site, self._link, request, environment)
        except OSError as fault:
            return spawn.reason(request.argv[0], fault)
        return None

    def _tell(self, request: requests.Tell) -> object:
        assert self._child
        took = self._child.tell(request)
        return LATER if took is None else took

    def _hear(self, request: requests.Hear) -> object:
        assert self._child
        if not request.seconds:
            return self._child.overhear()
        heard = self._child.hear(request)
        return LATER if heard is None else heard

    def _tunnel(self, request: requests.Tunnel) -> object:
        assert self._child
        self._child.tunnel(request)
        return LATER

    def tend(self) -> None:
        """What has to be looked after from time to time."""
        if self._queue:
            self._queue.look_after()

    def _note(self, request: requests.Note) -> None:
        self._link.log(request.event)

    # the end

    def _say_goodbye(self, ending: Ending) -> None:
        reply = self._secure.farewell(ending.reply) if self._secure else ending.reply

        def part(sent: bool) -> None:
            if sent and ending.reply:
                self.client.part(lambda: self._close(ending.status))
            else:
                self._close(ending.status)

        self.client.send(reply, part)

    def _close(self, status: int) -> None:
        if self._queue:
            self._queue.close()
        if self._child:
            self._child.leave()
        self._child = self._idle = self._secure = None  # they know the session, too
        self.client.close()
        self._link.ended(self, status)


_ANSWERS: "dict[type, Callable[[Session, Any], object]]" = {
    requests.Exchange: Session._exchange,
    requests.Listen: Session._exchange,
    requests.Wait: Session._wait,
    requests.StartTls: Session._start_tls,
    requests.Lookup: Session._look_up,
    requests.Run: Session._run,
    requests.Entrust: Session._entrust,
    requests.RunWarm: Session._run_warm,
    requests.Consult: Session._consult,
    requests.Open: Session._open,
    requests.Write: Session._write,
    requests.Finish: Session._finish,
    requests.Abandon: Session._abandon,
    requests.Start: Session._start,
    requests.Tell: Session._tell,
    requests.Hear: Session._hear,
    requests.Tunnel: Session._tunnel,
    requests.Note: Session._note,
}
