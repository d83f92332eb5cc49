"""What spamcontrol's switches come to in one session (qmailfork-control(5))."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmailfork.programs.addresses import BadNames, BadRecipients, BadSenders
    from qmailfork.programs.recipients import Recipients


class Switches:
    """The switches of one session, from its environment and the control files that go with them.

    `bad_senders`, `bad_recipients`, `bad_names` and `recipients` are lists, None where there is none (badmailfrom
    without patterns is in the settings). `check_name` is HELOCHECK's word and `own_senders` LOCALMFCHECK's, None where
    they are not set. `get` finds a key in the cdb at a path, and may raise ControlFault. `later` answers 450 for a
    recipient that does not exist. `most_recipients` that a client may name for one message (0: no limit). After
    `tarpit_count` recipients (0: never) it waits `tarpit_delay` seconds for each, and after as many that do not exist
    it can name no more. `greet_delay` are the seconds in which it has to keep silent before the greeting. `replies` are
    the refusals that the site has added a text to, by the reply without it. `sender_in_dns` refuses senders that are in
    a domain that DNS does not have.
    """

    __slots__ = (
        "bad_names", "bad_recipients", "bad_senders", "check_name", "get", "greet_delay", "later", "most_recipients",
        "own_senders", "recipients", "replies", "sender_in_dns", "tarpit_count", "tarpit_delay",
    )  # fmt: skip

    bad_names: "BadNames | None"
    bad_recipients: "BadRecipients | None"
    bad_senders: "BadSenders | None"
    check_name: bytes | None
    get: "Callable[[bytes, bytes], bytes | None]"
    greet_delay: int
    later: bool
    most_recipients: int
    own_senders: bytes | None
    recipients: "Recipients | None"
    replies: dict[bytes, bytes]
    sender_in_dns: bool
    tarpit_count: int
    tarpit_delay: int


class Screened:
    """What a session's screening has found so far: how many recipients `failed` to exist, what DNS said of `names`."""

    __slots__ = ("failed", "names")

    def __init__(self) -> None:
        self.failed = 0
        self.names: dict[tuple[bytes, tuple[str, ...]], list[bytes] | None] = {}
