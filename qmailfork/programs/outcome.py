"""How a program ended, or a resident one answered."""

EXITED, SIGNALLED, EXPIRED, UNSTARTED = "exit", "signal", "timeout", "exec"
ANSWERED, BROKEN = "answer", "broken"


class Outcome:
    """The end of a program that was run, or the answer of a resident one.

    `how` is EXITED, SIGNALLED, EXPIRED (its time was over and its group killed) or UNSTARTED (exec failed, or nobody
    listens); a resident one ANSWERED, or BROKEN where what came is no whole answer. `code` is the exit code, the
    signal's or the errno's number; `output` what it wrote for us (bytes, bounded by whoever read it); `milliseconds`
    how long it took; `when` its end in Unix seconds; `cached` says that the session had it already.
    """

    __slots__ = ("cached", "code", "how", "milliseconds", "output", "when")

    def __init__(self, how: str, code: int, output: bytes = b"", milliseconds: float = 0.0, when: int = 0) -> None:
        self.how = how
        self.code = code
        self.output = output
        self.milliseconds = milliseconds
        self.when = when
        self.cached = False

    def again(self) -> "Outcome":
        """The same, had without asking."""
        known = Outcome(self.how, self.code, self.output, 0.0, self.when)
        known.cached = True
        return known
