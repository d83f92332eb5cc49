"""What a source may answer."""

NO, YES, FOREIGN = 0, 1, 2


class Trouble(Exception):
    """A source, a file or a variable that does not work; the text is one line that names it."""


def trouble(what: object, error: OSError) -> Trouble:
    """Return error as Trouble with the file or place that it befell."""
    shown = what.decode("utf-8", "surrogateescape") if isinstance(what, bytes) else what
    return Trouble(f"{shown}: {error.strerror or error}")
