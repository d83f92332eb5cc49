"""What the checkers share: a verdict, a way to run, a log line, numbers from the environment.

A checker is one program. It defines `check(env) -> Verdict` and `main() -> int`, reads its environment
in `main` and never at import, and hands both to `run`. From the same code it is then a program that
qmail-smtpd forks (exit code 0, 100 or 101), a module that a fork server imports once, and a resident
Postfix policy server. xfkit(7) shows how to write one.

Nothing here costs a forked checker more than the modules that the interpreter has loaded anyway.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Check = Callable[[Mapping[str, str]], "Verdict"]

PASS, REFUSE, DEFER = 0, 100, 101  # exit codes of the SMTPEXTFORK contract, qmailfork-checker(7)

INTERRUPTED = 130  # what a shell says of SIGINT

LINE = 1000  # octets of a log line's text
REPLY = 400  # octets of a reply's text
HEADER = 990  # octets of a header's line, which RFC 5322 bounds at 998

_program = ""  # set by run, for the log lines of number and choice


class Unusable(Exception):
    """What a check cannot do without is missing; the text is one line for the postmaster."""


class Verdict:
    """What a checker says about one recipient.

    code: PASS, REFUSE or DEFER. text: the reply's text, may be empty (the server then has its own).
    headers: lines `Name: value` for the message, meant only where code is PASS.
    """

    __slots__ = ("code", "headers", "text")

    def __init__(self, code: int, text: str = "", headers: tuple[str, ...] = ()) -> None:
        self.code = code
        self.text = text
        self.headers = headers

    def __repr__(self) -> str:
        return f"Verdict({self.code}, {self.text!r}, {self.headers!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verdict) and repr(self) == repr(other)

    __hash__ = None  # type: ignore[assignment]  # a verdict is compared, never a key


def clean(text: str, limit: int = REPLY) -> str:
    """Return text as one line of printable ASCII, every other octet a `?`, at most limit octets long."""
    kept = "".join(mark if " " <= mark <= "~" else "?" for mark in text[: limit + 1])
    return kept if len(kept) <= limit else kept[: limit - 3] + "..."


def field(text: str, limit: int = 255) -> str:
    """Return text as one word of a log line: cleaned, blanks and `'` a `?` too, `-` where it is empty."""
    return clean(text, limit).translate({ord(" "): "?", ord("'"): "?"}) or "-"


def log(name: str, text: str) -> None:
    """Write the line `NAME: pid N TEXT` to standard error, cleaned and bounded; a closed one is no error."""
    _write(2, f"{name}: pid {os.getpid()} {clean(text, LINE)}\n")


def number(env: Mapping[str, str], name: str, default: int, low: int = 0, high: int = 2**31) -> int:
    """Return the decimal number in the variable name, from low to high.

    Unset or empty: default. Anything else that is no such number: default, and one log line.
    """
    value = env.get(name, "")
    if not value:
        return default
    digits = value[1:] if value[0] == "-" else value
    if digits.isascii() and digits.isdigit() and len(digits) < 12 and low <= int(value) <= high:
        return int(value)
    log(_called(), f"{name}={clean(value, 80)} is not a number from {low} to {high}, taking {default}")
    return default


def choice(env: Mapping[str, str], name: str, choices: Sequence[str], default: str) -> str:
    """Return the word in the variable name if it is one of choices, else default; a wrong word is logged."""
    value = env.get(name, "")
    if value and value not in choices:
        log(_called(), f"{name}={clean(value, 80)} is none of {' '.join(choices)}, taking {default}")
    return value if value in choices else default


def _called() -> str:
    return _program or os.path.basename(sys.argv[0])


def words(env: Mapping[str, str], name: str) -> list[str]:
    """Return the entries of the variable name, separated by commas, blanks or line ends; unset: none."""
    return env.get(name, "").replace(",", " ").split()


def environment() -> dict[str, str]:
    """Return this process's environment as text: UTF-8 in any locale, other octets as surrogates."""
    return {
        name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
        for name, value in os.environb.items()
    }


def decide(check: Check, name: str, env: Mapping[str, str]) -> Verdict:
    """Return check's verdict on env; if it raises, one log line and DEFER (PASS with XF_ONERROR=pass)."""
    try:
        verdict = check(env)
        if isinstance(verdict, Verdict):
            return verdict
        raise TypeError("check returns no Verdict")
    except Unusable as trouble:
        log(name, str(trouble))
    except Exception as trouble:
        log(name, f"internal error: {type(trouble).__name__}: {trouble}")
    return Verdict(PASS if env.get("XF_ONERROR") == "pass" else DEFER)


def run(check: Check, name: str, manual: str) -> int:
    """Run a checker as its arguments say, and return its exit code.

    Without arguments: check this process's environment once. The verdict's text is the first line of standard
    output (what SMTPEXTFORKREPLY=1 wants), each header a line `Header: Name: value` (SMTPEXTFORKHEADERS=1).
    With arguments, see `xfkit.arguments`: --help, --policy unix:PATH, --policy inet:HOST:PORT.
    """
    global _program  # noqa: PLW0603  # one process is one checker
    _program = name
    if len(sys.argv) > 1:
        from xfkit import arguments  # noqa: PLC0415  # a forked checker has none and pays for none

        return arguments.obey(check, name, manual)
    try:
        verdict = decide(check, name, environment())
    except KeyboardInterrupt:
        return INTERRUPTED
    _write(1, _output(verdict))
    return verdict.code


def _output(verdict: Verdict) -> str:
    lines = [clean(verdict.text)] if verdict.text else []
    if verdict.code == PASS:
        lines += ["Header: " + clean(line, HEADER) for line in verdict.headers]
    return "".join(line + "\n" for line in lines)


def _write(descriptor: int, text: str) -> None:
    data = text.encode("ascii", "replace")
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:  # closed, full or gone: the exit code still says it all
        pass
