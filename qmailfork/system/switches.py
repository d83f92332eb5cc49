"""Environment and control files → spamcontrol's switches (qmailfork-control(5))."""

from qmailfork.conversation.switches import Switches
from qmailfork.smtp import replies
from qmailfork.system import config
from qmailfork.system.lists import Lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 1_000_000_000
LONGEST_GREETING = 300  # seconds that a client waits for its greeting (RFC 5321 section 4.5.3.2.1)
LONGEST_TARPIT = 999
NAME_WORDS = frozenset((b"", b"!", b".", b"=", b"A", b"M"))
TEXTS = {
    b"REPLY_BADMAILFROM": replies.BAD_SENDER,
    b"REPLY_BADRCPTTO": replies.BAD_RECIPIENT,
    b"REPLY_HELO": replies.BAD_NAME,
    b"REPLY_MAILBOX": replies.NO_MAILBOX,
    b"REPLY_MAXSIZE": replies.TOO_BIG,
    b"REPLY_NOGATEWAY": replies.NO_GATEWAY,
    b"REPLY_SENDEREXIST": replies.NO_SUCH_SENDER,
    b"REPLY_SENDERINVALID": replies.NOT_OWN_SENDER,
}


def read(controls: "config.Controls", environment: "Mapping[bytes, bytes]", complaints: list[bytes]) -> Switches:
    """The switches that `environment` and control files set.

    A value that makes no sense is passed over and told in `complaints`.
    """
    said = _Said(environment, complaints)
    lists = controls.lists or Lists(controls.home, (), ())
    result = Switches()
    result.bad_senders, result.bad_recipients = lists.bad_senders, lists.bad_recipients
    result.bad_names, result.recipients, result.get = lists.bad_names, lists.recipients, lists.databases.get
    result.check_name = said.word(b"HELOCHECK" if b"HELOCHECK" in environment else b"BADHELO")
    result.own_senders = environment.get(b"LOCALMFCHECK")
    result.sender_in_dns = b"MFDNSCHECK" in environment
    result.later = b"RECIPIENTS450" in environment
    result.most_recipients = said.number(b"MAXRECIPIENTS", MOST)
    result.tarpit_count = said.number(b"TARPITCOUNT", MOST)
    result.tarpit_delay = said.number(b"TARPITDELAY", LONGEST_TARPIT)
    result.greet_delay = said.number(b"GREETDELAY", LONGEST_GREETING)
    result.replies = {
        reply: replies.with_text(reply, environment[name]) for name, reply in TEXTS.items() if environment.get(name)
    }
    return result


class _Said:
    """What the variables say."""

    def __init__(self, environment: "Mapping[bytes, bytes]", complaints: list[bytes]) -> None:
        self._environment = environment
        self._complaints = complaints

    def _complain(self, name: bytes, value: bytes) -> None:
        self._complaints.append(b"%b=%b" % (name, value))

    def number(self, name: bytes, most: int) -> int:
        """The number that the variable `name` says, 0 to `most`; 0 where it is not set or makes no sense."""
        value = self._environment.get(name, b"").strip()
        if value.isdigit() and len(value) <= 20 and int(value) <= most:
            return int(value)
        if value:
            self._complain(name, value)
        return 0

    def word(self, name: bytes) -> bytes | None:
        """HELOCHECK's word; None where it is not set, the empty one where it makes no sense."""
        value = self._environment.get(name)
        if value is None or value in NAME_WORDS:
            return value
        self._complain(name, value)
        return b""
