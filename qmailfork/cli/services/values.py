"""Filling in: @name@ in a text, and assignments at the head of a script."""

import shlex
from collections.abc import Iterable


def filled(text: str, **values: str) -> str:
    """`text` with each @name@ of `values` replaced."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def assignments(values: Iterable[tuple[str, str, str]]) -> str:
    """Lines that set shell variables: name, value, and a comment behind it."""
    told = [(f"{name}={_quoted(value)}", comment) for name, value, comment in values]
    width = max(len(line) for line, _ in told)
    return "\n".join(f"{line:{width}}    # {comment}" if comment else line for line, comment in told)


def _quoted(value: str) -> str:
    """Bare where the shell takes it so, in double quotes where that will do, which are easier to edit."""
    quoted = shlex.quote(value)
    if quoted == "''":
        return ""
    return f'"{value}"' if quoted != value and not set(value) & set('"$`\\\n') else quoted
