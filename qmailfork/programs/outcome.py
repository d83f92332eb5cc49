"""How a program ended."""

EXITED, SIGNALLED, EXPIRED, UNSTARTED = "exit", "signal", "timeout", "exec"


class Outcome:
    """The end of a program that was run.

    `how` is EXITED, SIGNALLED, EXPIRED (its time was over and its group killed) or UNSTARTED (exec failed); `code`
    the exit code, the signal's or the errno's number; `output` what it wrote for us (bytes, bounded by whoever read
    it); `milliseconds` how long it took; `when` its end in Unix seconds.
    """

    __slots__ = ("code", "how", "milliseconds", "output", "when")

    def __init__(self, how: str, code: int, output: bytes = b"", milliseconds: float = 0.0, when: int = 0) -> None:
        self.how = how
        self.code = code
        self.output = output
        self.milliseconds = milliseconds
        self.when = when
