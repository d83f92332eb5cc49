"""Looking with the eyes of the service's user."""

import json
import os
from collections.abc import Callable, Iterable

from qmailfork.cli.finding import ERROR, Finding


def looking(user: tuple[int, int] | None, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What `look` finds as the `user` (user and group id; None: as we are). Whoever is not root looks as himself."""
    if user is None or os.geteuid() != 0 or user[0] == 0:
        return list(look())
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _look(user, look, writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        text = file.read()
    os.waitpid(pid, 0)
    return [Finding(*one) for one in json.loads(text or "[]")]


def _look(user: tuple[int, int], look: Callable[[], Iterable[Finding]], writing: int) -> None:
    """In the child: never returns."""
    try:
        uid, gid = user
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
        found = _safely(look)
        with open(writing, "w", encoding="utf-8") as file:
            json.dump([list(one) for one in found], file)
    finally:
        os._exit(0)


def _safely(look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """A Python that only root may read shows as soon as a module is wanted."""
    try:
        return list(look())
    except (ImportError, OSError) as fault:
        what = f"the service's user cannot look: {fault}"
        why = "the server would not be able to, either"
        return [Finding(ERROR, "Python", what, why, "install it where the user may read it")]
