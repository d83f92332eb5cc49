"""What starts a service: a run script, a systemd unit or an rc.d script, read without being run."""

import shlex
from pathlib import Path

from qmailfork.cli.checks.shell import Script

LONGEST = 1 << 18  # octets that are read of a script; shlex takes minutes for a word of megabytes


class Unreadable(Exception):
    """There is no service here; the text says why."""


class Started(Script):
    """A script with the `file` it stands in.

    The service manager gives `user`, `environment`, and `directories` that it makes; `settings` are those of a unit.
    """

    def __init__(self, file: Path, text: str) -> None:
        super().__init__(text)
        self.file = file
        self.user = ""
        self.environment: set[str] = set()
        self.directories: set[str] = set()
        self.settings: dict[str, str] = {}


def script(directory: Path) -> Started:
    """What starts the service in `directory`. Raises Unreadable."""
    try:
        return _read(_found(directory))
    except OSError as fault:
        raise Unreadable(f"{fault.filename}: {fault.strerror}") from None


def _found(directory: Path) -> Path:
    """The file that starts the service. Raises Unreadable, OSError."""
    if directory.is_file():
        return directory
    if not directory.is_dir():
        raise Unreadable(f"{directory}: no such directory")
    file = directory / "run"
    if not file.exists():
        units = sorted(directory.glob("*.service"))
        plain = [each for each in sorted(directory.iterdir()) if each.is_file()]
        scripts = [each for each in plain if b"rc.subr" in _octets(each)[:4096]]
        file = next(iter([*units, *scripts]), file)
    return file


def _octets(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(LONGEST)
    except OSError as fault:
        raise Unreadable(f"{file}: {fault.strerror}") from None


def _unit(file: Path, text: str) -> Started:
    """What systemd would start, and as whom (systemd.exec(5))."""
    script = Started(file, "")
    for line in text.replace("\\\n", " ").split("\n"):
        name, equals, value = line.partition("=")
        if equals and line[:1] not in "#;":
            script.settings[name.strip()] = value.strip()
            if name == "Environment":
                script.values.update({pair.partition("=")[0]: pair.partition("=")[2] for pair in _words(value)})
    script.words = [word.replace("$$", "$") for word in _words(script.settings.get("ExecStart", "").lstrip("-@:+!"))]
    script.user = script.settings.get("User", "")
    script.directories.update(f"/run/{directory}" for directory in script.settings.get("RuntimeDirectory", "").split())
    script.environment.update(script.values)
    return script


def _words(value: str) -> list[str]:
    """The words of a unit's setting; none where a quote has no other one."""
    try:
        return [word.replace("%t", "/run").replace("%%", "%") for word in shlex.split(value)]
    except ValueError:
        return []


def _read(file: Path) -> Started:
    text = _octets(file).decode(errors="surrogateescape")
    if file.suffix == ".service":
        return _unit(file, text)
    script = Started(file, text)
    if "rc.subr" in text:
        script.words = _rc_words(script)
    if script.interpreter and not script.interpreter.split()[0].endswith("sh"):
        script.words = []
    return script


def _rc_words(script: Script) -> list[str]:
    """What rc.subr(8) would run: command and command_args, up to where the log begins."""
    if "command" not in script.values:
        return script.words
    try:
        words = shlex.split(script.values.get("command_args", ""))
    except ValueError:  # a quote without its other one
        words = []
    ends = (at for at, word in enumerate(words) if word in ("|", "&", "2>&1"))
    return [script.values["command"], *words[: next(ends, len(words))]]
