"""What checkers on trial would have refused, and how much of it looks like mail that is wanted."""

from qmailfork.logs.bounded import Recent, Seen

OPEN = 10_000  # recipients whose fate is not known yet
SENDERS = 100_000


class Shadow:
    """One checker on trial: what it `refused`, how much of that was `accepted` all the same, and how much of this was
    from senders that are `known`: of whom other mail was accepted to which it had no objection.
    """

    def __init__(self) -> None:
        self.refused = self.accepted = self.known = 0


class Shadows:
    """Follows recipients from the shadow's word to the server's."""

    def __init__(self) -> None:
        self._by_checker: dict[bytes, Shadow] = {}
        self._open: Recent[tuple[int, bytes], list[bytes]] = Recent(OPEN)
        self._objected: Recent[tuple[bytes, bytes], int] = Recent(SENDERS)  # checker, sender
        self._clean: Seen[int] = Seen(SENDERS)

    def refused(self, number: int, recipient: bytes, checker: bytes) -> None:
        """`checker` would have refused the recipient in the session `number`."""
        self._of(checker).refused += 1
        key = number, recipient
        self._open.put(key, [*(self._open.get(key) or ()), checker])

    def settled(self, number: int, recipient: bytes, sender: bytes, accepted: bool) -> None:
        """The server has decided."""
        checkers = self._open.pop((number, recipient)) if self._open else None
        if not accepted:
            return
        if checkers is None:
            self._clean.add(hash(sender))
            return
        for checker in checkers:
            self._of(checker).accepted += 1
            key = checker, sender
            self._objected.put(key, (self._objected.get(key) or 0) + 1)

    def found(self) -> dict[bytes, Shadow]:
        """All that is known at the end of the log. The null sender is nobody's."""
        for shadow in self._by_checker.values():
            shadow.known = 0
        for (checker, sender), times in self._objected.items():
            if sender and hash(sender) in self._clean:
                self._of(checker).known += times
        return self._by_checker

    def _of(self, checker: bytes) -> Shadow:
        return self._by_checker.setdefault(checker, Shadow())
