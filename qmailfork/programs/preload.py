"""`preload:PATH`: a Python checker of the plain contract that a driver may keep imported and fork for a recipient."""

from qmailfork.programs.verdict import Checker


class Preloaded(Checker):
    """A checker that a driver may keep warm."""

    warm = True
