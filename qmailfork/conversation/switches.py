"""What spamcontrol's switches come to in one session (qmailfork-control(5))."""


class Switches:
    """The switches of one session, from its environment and the control files that go with them.

    `most_recipients` that a client may name for one message (0: no limit). `replies` are the refusals that the site
    has added a text to, by the reply without it.
    """

    __slots__ = ("most_recipients", "replies")

    most_recipients: int
    replies: dict[bytes, bytes]


class Screened:
    """What a session's screening has found so far."""

    __slots__ = ()
