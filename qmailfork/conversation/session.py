"""One session: what the client has said so far, what it sent and has yet to hear."""

from qmailfork.conversation.requests import Exchange, Note, Wait
from qmailfork.conversation.settings import Settings
from qmailfork.programs import events
from qmailfork.programs.journal import Event, clean
from qmailfork.programs.peer import Peer
from qmailfork.smtp import commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.conversation.chunking import Chunked
    from qmailfork.conversation.requests import Asking
    from qmailfork.conversation.switches import Screened
    from qmailfork.programs.outcome import Outcome
    from qmailfork.programs.verdict import Checker, Variables, Verdict

COMMANDS = 1024  # octets of commands taken in at once, as by qmail-smtpd
TURN = 256  # octets of these for one turn: a flood of commands leaves other clients theirs
MESSAGE = 65536
FRESH, SENDER, READY = "fresh", "sender", "ready"  # no MAIL yet; MAIL but no recipient; something to send
CHUNKS = "chunks"  # a message has begun with BDAT


class Gone(Exception):
    """The client is no longer there."""


class Late(Exception):
    """The client took too long."""


class Overlong(Exception):
    """A command line has no end within reason; what came of it is dropped."""


class Session:
    """The state of one conversation.

    `state` is FRESH, SENDER, READY or CHUNKS; `sender` and `recipients` the envelope so far (RELAYCLIENT's suffix
    appended), `chunked` what there is of the message at CHUNKS, None elsewhere; `helo` the client's name for itself,
    None before it gave one, and `extended` after EHLO; `size` what MAIL announced (0: nothing), `facts` what programs
    find of its parameters; `tried` counts the recipients since MAIL, `decided` all of them, `messages` the senders;
    `deciding` is the number of the recipient at hand (0: none), and `recorded` the last one that the log has. `owed`
    are the replies not sent yet. `secured` is true under TLS; `complained` once an unusable certificate was logged;
    `screened` is what the switches have found so far, None where there are none. `user` is who the client has proved to
    be, None before; `failures` counts its attempts to, and `guarded` is true once it made one: what it says may be a
    password then.

    What the checkers left behind: `headers` for the message; `lasting` verdicts, by checker; `variables` for later
    programs; `held` replies that refuse later commands; `retired` is true where plugins want no more of the session.
    """

    __slots__ = (
        "_arrived", "_at", "_behind", "_end", "chunked", "complained", "decided", "deciding", "extended", "facts",
        "failures", "guarded", "headers", "held", "helo", "lasting", "messages", "owed", "peer", "protocol",
        "recipients", "recorded", "retired", "screened", "secured", "sender", "settings", "size", "state", "tried",
        "user", "variables",
    )  # fmt: skip

    def __init__(self, settings: Settings, peer: Peer) -> None:
        self.settings = settings
        self.peer = peer
        self.secured = settings.tls is not None and settings.tls.done
        self.protocol = b"ESMTPS" if self.secured else b"ESMTP"  # spamcontrol's P:, whatever the client's HELO
        self.complained = self.guarded = False
        self.user: bytes | None = None
        self.screened: Screened | None = None
        self.state = FRESH
        self.helo: bytes | None = None
        self.sender = b""
        self.recipients: list[bytes] = []
        self.owed: list[bytes] = []
        self.extended = self.retired = False
        self.size = self.tried = self.messages = self.failures = 0
        self.decided = self.deciding = self.recorded = 0
        self.headers: list[bytes] = []
        self.facts: Variables = {}
        self.chunked: Chunked | None = None
        self.lasting: dict[Checker, tuple[Outcome, Verdict]] = {}
        self.variables: Variables = {}
        self.held: dict[bytes, bytes] = {}
        self._arrived = b""
        self._at = 0  # where the next line begins in _arrived
        self._behind = b""  # what arrived, too, and waits for its turn
        self._end: Gone | Late | None = None  # of the client, once what came before it is read

    def line(self) -> "Asking[bytes]":
        """The next command line, without its end (LF, or CR LF). Raises Gone, Late, Overlong."""
        end = self._arrived.find(b"\n", self._at)
        while end < 0:
            searched = len(self._arrived) - self._at
            if searched > commands.LONGEST:
                yield from self._drop_line()
                raise Overlong
            self._arrived = self._arrived[self._at :] + (yield from self._commands())
            self._at = 0
            end = self._arrived.find(b"\n", searched)
        line = self._arrived[self._at : end]
        self._at = end + 1
        if len(line) > commands.LONGEST:
            raise Overlong
        return line.removesuffix(b"\r")

    def _drop_line(self) -> "Asking[None]":
        """Read past the end of a line without keeping it."""
        block = b""
        while b"\n" not in block:
            block = yield from self._commands()
        self._arrived = block
        self._at = block.index(b"\n") + 1

    def block(self) -> "Asking[bytes]":
        """What arrived and was not read yet, or else the next arrival, whole. Raises Gone, Late."""
        if self._at < len(self._arrived):
            block = self._arrived[self._at :]
            self._arrived, self._at = b"", 0
            return block
        return (yield from self.arrival(MESSAGE))

    def portion(self, most: int) -> "Asking[bytes]":
        """What arrived and was not read yet, and where that is little the next arrival; at the `most` so many octets.

        Raises Gone, Late.
        """
        if self._end:
            raise self._end
        piece = self._arrived[self._at : self._at + most]
        self._at += len(piece)
        lacking = most - len(piece)
        if not lacking or len(piece) > TURN:
            return piece
        self._arrived, self._at = b"", 0
        try:
            block = yield from self.arrival(min(max(lacking, COMMANDS), MESSAGE))  # what follows are commands
        except (Gone, Late) as end:
            if not piece:
                raise
            self._end = end  # what came before it counts, as if it had been looked at when it came
            return piece
        self._arrived = block[lacking:]
        return piece + block[:lacking]

    def put_back(self, block: bytes) -> None:
        """`block` was read with block() but is not of the message. It may hold more commands than one turn is for."""
        self._arrived, self._behind, self._at = block[:TURN], block[TURN:] + self._behind, 0

    def _commands(self) -> "Asking[bytes]":
        """The next octets of commands, as many as are for one turn. Raises Gone, Late.

        What is owed waits for the last of those that have arrived: TCP keeps back a second small segment until the
        client has acknowledged the first, which takes it 40 ms.
        """
        if not self._behind:
            self._behind = yield from self.arrival(COMMANDS)
        else:
            yield Wait(b"" if len(self._behind) <= COMMANDS else self.due(), 0.0)
        block, self._behind = self._behind[:TURN], self._behind[TURN:]
        return block

    def due(self) -> bytes:
        """What is owed, and is so no longer."""
        reply = b"".join(self.owed)
        self.owed.clear()
        return reply

    def arrival(self, most: int) -> "Asking[bytes]":
        """Send what is owed and wait for more, at the `most` so many octets. Raises Gone, Late."""
        reply = self.due()
        if self._behind:
            if reply:
                yield Wait(reply, 0.0)
            block, self._behind = self._behind[:most], self._behind[most:]
            return block
        block = yield Exchange(reply, self.settings.seconds, most)
        if block is None:
            raise Late
        if not block:
            raise Gone
        return block  # type: ignore[no-any-return]  # Exchange's answer

    def acknowledge(self, reply: bytes) -> "Asking[bytes]":
        """Send the `reply` to a message before what the client has sent behind it, which may take long, is looked at:
        it would send a message again whose reply does not come. Empty then; `reply`, to be said with what follows,
        where nothing is behind it. (RFC 2920 section 3.2, RFC 1047)
        """
        if self._at == len(self._arrived) and not self._behind:
            return reply
        yield Wait(self.due() + reply, 0.0)
        return b""

    def begin(self, sender: bytes, size: int, facts: "Variables") -> None:
        """MAIL was accepted: a new transaction."""
        self.sender, self.size, self.facts = sender, size, facts
        self.recipients, self.headers = [], []
        self.tried = 0
        self.messages += 1

    @property
    def utf8(self) -> bool:
        """Whether addresses and header of the message may be in UTF-8 (RFC 6531)."""
        return self.facts.get(b"REMOTEUTF8") is not None

    def restart(self) -> int:
        """Forget all that was said in plain (RFC 3207 section 4.2): how many octets came that were not read yet."""
        unread = len(self._arrived) - self._at + len(self._behind)
        self._arrived, self._behind, self._at = b"", b"", 0
        self.state, self.helo, self.extended, self.held = FRESH, None, False, {}
        self.sender, self.recipients, self.headers = b"", [], []
        return unread

    def secure(self, facts: "Variables") -> None:
        """The session is under TLS, of which programs find these `facts`."""
        self.secured = True
        self.protocol = b"ESMTPS"
        self.variables = {**self.variables, **facts}

    def admit(self) -> None:
        """The client is a relay client from here on."""
        self.settings = self.settings.relaying()
        self.variables = {**self.variables, b"RELAYCLIENT": b""}

    def authenticate(self, method: bytes, user: bytes) -> None:
        """The client has proved by `method` to be `user`, and relays from here on."""
        self.user, self.protocol, self.peer.info = user, self.protocol + b"A", user
        if self.settings.relay_suffix is None:
            self.admit()
        facts = {b"AUTHUSER": user, b"AUTHPROTOCOL": method, b"TCPREMOTEINFO": user}
        self.variables = {**self.variables, **facts}

    @property
    def login(self) -> "tuple[bytes, bytes] | None":
        """Who the client has proved to be by AUTH and by what method, None before."""
        method = self.variables.get(b"AUTHPROTOCOL")
        return (self.user, method) if self.user is not None and method else None

    def note(self, event: Event, sender: bytes | None = None) -> Note:
        """The request to log `event` with the session as it stands; a `sender` that it did not take is given."""
        event.protocol = self.protocol
        event.session = self.peer.session
        event.number = self.recorded = self.deciding
        event.ip = self.peer.ip
        event.host = self.peer.host
        event.helo = self.helo or b""
        event.sender = self.sender if sender is None else sender
        return Note(event)

    def signed(self, reply: bytes) -> bytes:
        """A `reply` about a recipient; a logged refusal with the decision's name, where SMTPEXTFORKID is set."""
        if not self.settings.checkers.identifies or reply[:1] not in (b"4", b"5") or self.recorded != self.deciding:
            return reply
        from qmailfork.programs import decision  # noqa: PLC0415  # few sites want it

        return decision.sign(reply, decision.identity(self.peer.session, self.deciding))

    def refuse(self, event: Event, sender: bytes | None = None) -> "Asking[bytes]":
        """Log the `event` of a refusal, as note: its reply, with what the site has to add (REPLY_…)."""
        switches = self.settings.switches
        if switches:
            event.reply = switches.replies.get(event.reply, event.reply)
        yield self.note(event, sender)
        return event.reply

    def refuse_held(self, verb: bytes) -> "Asking[bytes]":
        """The reply that a plugin has refused `verb` with beforehand, logged; empty where none has."""
        reply = self.held.get(verb, b"")
        if reply:
            yield self.note(events.held(verb, reply))
        return reply

    def remind(self) -> list[Note]:
        """The requests to log what makes no sense in the variables, and that a relay client's list was forgotten."""
        checkers = self.settings.checkers
        notes = [self.note(events.config(complaint)) for complaint in checkers.complaints]
        return [*notes, self.note(events.relay_list_unset())] if checkers.unset_relay_list else notes

    def say(self, level: int, words: bytes, subject: bytes = b"") -> tuple[Note, ...]:
        """The request to log a step of the conversation, about a `subject` from the client; none in a terser log."""
        return (self.note(events.said(level, words + clean(subject))),) if level <= self.settings.loglevel else ()
