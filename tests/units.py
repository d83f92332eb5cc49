"""A systemd unit as systemd would start it, with its runtime directories below one of the test's."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ucspi import end_group


class Unit:
    """The settings of a unit file; /run is the directory `run`."""

    def __init__(self, file: Path, run: Path) -> None:
        self.run = run
        pairs = re.findall(r"^([A-Z]\w*)=(.*)$", file.read_text().replace("\\\n", " "), re.MULTILINE)
        self.settings: dict[str, str] = dict(pairs)

    def words(self, setting: str) -> list[str]:
        """The words of a setting (systemd.syntax(7)), specifiers expanded (systemd.unit(5))."""
        words = shlex.split(self.settings[setting])
        return [word.replace("%%", "%").replace("/run/", f"{self.run}/") for word in words]

    @property
    def argv(self) -> list[str]:
        """The command line."""
        return [word.replace("$$", "$") for word in self.words("ExecStart")]

    @property
    def environment(self) -> dict[str, str]:
        """Nothing but what the unit says."""
        return dict(pair.split("=", 1) for pair in self.words("Environment"))

    @property
    def bounds(self) -> list[str]:
        """The words for setpriv(1) that leave the capabilities which the unit leaves."""
        names = self.settings["CapabilityBoundingSet"].removeprefix("~").split()
        return ["setpriv", "--bounding-set", ",".join("-" + name.removeprefix("CAP_").lower() for name in names)]

    @contextmanager
    def started(self, log: Path, *before: str) -> Iterator[None]:
        """The command line, running; `before` it other words, and its directories below /run made."""
        for name in self.settings.get("RuntimeDirectory", "").split():
            (self.run / name).mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*before, *self.argv], env=self.environment, cwd="/", stdout=file, stderr=file, start_new_session=True
            )
        with process:
            try:
                yield
            finally:
                end_group(process)
