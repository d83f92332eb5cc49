"""Environment → spamcontrol's switches (qmailfork-control(5))."""

from qmailfork.conversation.switches import Switches
from qmailfork.smtp import replies
from qmailfork.system import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = config.SWITCHES
MOST = 1_000_000_000
TEXTS = {
    b"REPLY_BADMAILFROM": replies.BAD_SENDER,
    b"REPLY_MAXSIZE": replies.TOO_BIG,
    b"REPLY_NOGATEWAY": replies.NO_GATEWAY,
}


def read(environment: "Mapping[bytes, bytes]", complaints: list[bytes]) -> Switches:
    """The switches that the `environment` sets; a value that makes no sense is passed over and told in `complaints`."""
    numbers = _Numbers(environment, complaints)
    result = Switches()
    result.most_recipients = numbers.of(b"MAXRECIPIENTS", MOST)
    result.replies = {
        reply: replies.with_text(reply, environment[name]) for name, reply in TEXTS.items() if environment.get(name)
    }
    return result


class _Numbers:
    """Variables that are numbers."""

    def __init__(self, environment: "Mapping[bytes, bytes]", complaints: list[bytes]) -> None:
        self._environment = environment
        self._complaints = complaints

    def of(self, name: bytes, most: int) -> int:
        """The number that the variable `name` says, 0 to `most`; 0 where it is not set or makes no sense."""
        value = self._environment.get(name, b"").strip()
        if value.isdigit() and len(value) <= 20 and int(value) <= most:
            return int(value)
        if value:
            self._complaints.append(b"%b=%b" % (name, value))
        return 0
