"""The chain of programs that ends in the server: what each of them says of env-dir, user, limits and rules."""

import getopt
import itertools
import os
import re
from collections.abc import Callable

import click

from qmailfork.cli.checks.shell import Script
from qmailfork.cli.listen import listen

SHELLS = ("sh", "dash", "ash", "bash", "ksh", "mksh", "zsh")
MEMORY = ("-m", "-a", "-d")
SMTPD, LISTEN = "qmailfork-smtpd", "qmailfork listen"
_OWN_ID = re.compile(r"\$\(id -[ug]n? +([\w.-]+) *\)")
SOFTLIMIT = "hHa:c:d:f:l:m:o:p:r:s:t:"
TCPSERVER = "qQvdDoOhHrRpP1Uc:x:XB:g:u:b:l:t:i:"


class Chain:
    """What is known once the `words` of a command have been followed to their end.

    `env_dirs` in their order; `user` as it stands there (a name, a number); `limits` as (program and option, octets);
    `cdb` of the rules, `optional` under -X; `shells` that stand between an env-dir or rules and the server; `server` is
    SMTPD, LISTEN, or empty where `stopped_at` is a word that could not be followed; `python` and `wrapped` as they
    stand there; `metrics` where a listener tells what it counts, which it opens as `starter`, before it becomes
    another user.
    """

    def __init__(self, words: list[str], values: dict[str, str]) -> None:
        self.env_dirs: list[str] = []
        self.set: dict[str, str] = {}
        self.user = ""
        self.limits: list[tuple[str, int]] = []
        self.starter = ""
        self.metrics: str | None = None
        self.cdb = ""
        self.optional = False
        self.shells: list[str] = []
        self.server = self.stopped_at = self.python = ""
        self.wrapped: list[str] = []
        self.programs: list[str] = []
        self._values = values
        self._follow(words)

    def _follow(self, words: list[str]) -> None:
        while words:
            name = os.path.basename(words[0])
            self.programs.append(words[0])
            step = STEPS.get(name) or (_shell if name in SHELLS else None)
            if name.startswith("python3") or name == "python":
                step = _python
            if name == SMTPD:
                self.server, self.wrapped = SMTPD, words[1:]
                return
            if step is None:
                self.stopped_at = words[0]
                return
            try:
                words = step(self, name, words[1:])
            except (getopt.GetoptError, IndexError, click.UsageError) as fault:
                self.stopped_at = f"{name}: {fault}"
                return

    def note_user(self, word: str) -> None:
        """A user, however it is written: `$(id -u joe)`, joe, joe:group, 1001."""
        match = _OWN_ID.fullmatch(word)
        self.user = (match[1] if match else word.lstrip(":").partition(":")[0]) or self.user

    def note_limit(self, program: str, option: str, value: str) -> None:
        """A limit on memory, where it is a number."""
        if option in MEMORY and value.isdigit():
            self.limits.append((f"{program} {option}", int(value)))


Step = Callable[[Chain, str, list[str]], list[str]]  # the words behind a program → the words of the next one
Read = tuple[list[tuple[str, str]], list[str], list[str]]  # options, positional words, the rest


def _options(letters: str, positional: int = 0) -> Callable[[list[str]], Read]:
    def read(words: list[str]) -> Read:
        given, rest = getopt.getopt(words, letters)
        return given, rest[:positional], rest[positional:]

    return read


def _plain(letters: str, positional: int = 0) -> Step:
    """A program that changes nothing we ask about."""
    read = _options(letters, positional)
    return lambda chain, name, words: read(words)[2]


def _envdir(letters: str) -> Step:
    read = _options(letters, 1)

    def step(chain: Chain, name: str, words: list[str]) -> list[str]:
        _, (directory, *_), rest = read(words)
        chain.env_dirs.append(directory)
        return rest

    return step


def _softlimit(chain: Chain, name: str, words: list[str]) -> list[str]:
    given, _, rest = _options(SOFTLIMIT)(words)
    for option, value in given:
        chain.note_limit(name, option, value)
    return rest


def _setuidgid(chain: Chain, name: str, words: list[str]) -> list[str]:
    _, (user, *_), rest = _options("", 1)(words)
    chain.note_user(user)
    if name != "envuidgid":  # which changes nothing but the environment
        chain.starter = chain.user
    return rest


def _chpst(chain: Chain, name: str, words: list[str]) -> list[str]:
    given, _, rest = _options("vP012u:U:e:b:/:C:n:l:L:m:d:o:p:f:c:r:t:s:")(words)
    for option, value in given:
        if option == "-e":
            chain.env_dirs.append(value)
        elif option == "-u":
            chain.note_user(value)
            chain.starter = chain.user
        chain.note_limit(name, option, value)
    return rest


def _env(chain: Chain, name: str, words: list[str]) -> list[str]:
    given, rest = getopt.getopt(words, "iu:P:S:", ["ignore-environment", "unset="])
    while rest and "=" in rest[0]:
        variable, _, value = rest.pop(0).partition("=")
        chain.set[variable] = value
    return [word for option, value in given if option == "-S" for word in value.split()] + rest


def _tcpserver(chain: Chain, name: str, words: list[str]) -> list[str]:
    given, _, rest = _options(TCPSERVER, 2)(words)
    for option, value in given:
        if option == "-u":
            chain.note_user(value)
        elif option == "-x":
            chain.cdb = value
        elif option == "-X":
            chain.optional = True
    return rest


def _shell(chain: Chain, name: str, words: list[str]) -> list[str]:
    if chain.env_dirs or chain.cdb or chain.set:
        chain.shells.append(name)
    given, _, rest = _options("ceux")(words)
    if ("-c", "") in given:
        return Script(f"exec {rest[0].removeprefix('exec ')}").words
    chain.stopped_at = rest[0] if rest else name
    return []


def _python(chain: Chain, name: str, words: list[str]) -> list[str]:
    chain.python = chain.programs[-1]
    return _options("IsSEBuW:X:O")(words)[2]


def _qmailfork(chain: Chain, name: str, words: list[str]) -> list[str]:
    if words[:1] != ["listen"]:
        chain.stopped_at = " ".join([name, *words[:1]])
        return []
    given = listen.make_context("listen", list(words[1:]), resilient_parsing=True).params
    chain.server = LISTEN
    chain.cdb = given["rules"] or chain.cdb
    chain.optional = given["rules_optional"]
    chain.wrapped = list(given["program"])
    chain.metrics = given["metrics"]
    _listeners_user(chain, words)
    return []


def _listeners_user(chain: Chain, words: list[str]) -> None:
    """-u, which click reads as a number: `$(id -u joe)` is not one before the shell has run."""
    for option, value in itertools.pairwise(words):
        if option == "-u":
            chain.note_user(value)


def _daemon(chain: Chain, name: str, words: list[str]) -> list[str]:
    given, rest = getopt.getopt(words, "cfHrSR:p:P:u:o:s:l:T:t:m:M:")
    for option, value in given:
        if option == "-u":
            chain.note_user(value)
            chain.starter = chain.user
    return rest


def _handoff(chain: Chain, name: str, words: list[str]) -> list[str]:
    return words[1:]


STEPS: dict[str, Step] = {
    "envdir": _envdir(""),
    "s6-envdir": _envdir("iIfnLc:"),
    "softlimit": _softlimit,
    "s6-softlimit": _softlimit,
    "setuidgid": _setuidgid,
    "s6-setuidgid": _setuidgid,
    "envuidgid": _setuidgid,
    "chpst": _chpst,
    "env": _env,
    "tcpserver": _tcpserver,
    "sslserver": _tcpserver,
    "setlock": _plain("nNxX", 1),
    "nice": _plain("n:"),
    "ionice": _plain("c:n:t"),
    "nohup": _plain(""),
    "exec": _plain(""),
    "fghack": _plain(""),
    "pgrphack": _plain(""),
    "recordio": _plain(""),
    "daemon": _daemon,
    "limits": _plain("BSHEa:b:c:d:f:k:l:m:n:o:p:s:t:u:v:w:C:"),
    "qmailfork": _qmailfork,
    "qmailfork-handoff": _handoff,
}
