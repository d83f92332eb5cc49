"""Running a program as somebody whom file permissions hold back, or who may end nobody else's processes."""

import os

_OVERRIDES = "-dac_override,-dac_read_search"


def held_back(argv: list[str]) -> list[str]:
    """The argv that runs another one so: root loses what lets it pass over permissions, others never had it."""
    if os.geteuid() != 0:
        return argv
    return ["setpriv", "--bounding-set", _OVERRIDES, "--inh-caps", _OVERRIDES, *argv]


KILL_NOBODY_ELSE = ("setpriv", "--bounding-set", "-kill", "--inh-caps", "-kill")  # what root runs another one by
