"""`qmailfork service --supervisor systemd`: the unit that systemd itself verifies, started by its socket activation."""

import configparser
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_service import Place
from tests.supervisors import open_directory
from tests.support import qmailfork
from tests.ucspi import end_group


@pytest.fixture
def place() -> Iterator[Place]:
    with open_directory() as path:
        yield Place(path)


def unit(directory: Path) -> configparser.SectionProxy:
    read = configparser.ConfigParser(interpolation=None, strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's manual has it
    read.read(directory / "smtpd.service")
    return read["Service"]


def test_a_message_through_the_unit(place: Place) -> None:
    directory = place.write("--supervisor", "systemd", "--kind", "listener")
    service = unit(directory)
    told = [f"-E{pair}" for pair in shlex.split(service["Environment"])]
    argv = ["systemd-socket-activate", "-l", f"127.0.0.1:{place.port}", *told, *shlex.split(service["ExecStart"])]
    with (place.path / "log").open("wb") as log:
        process = subprocess.Popen(argv, stderr=log, start_new_session=True)
    with process:
        try:
            place.hold_a_session()
        finally:
            end_group(process)


def test_systemd_verifies_it(place: Place) -> None:
    assert shutil.which("systemd-analyze"), "Debian's package systemd brings it"
    directory = place.write("--supervisor", "systemd", "--kind", "listener")
    argv = ["systemd-analyze", "verify", str(directory / "smtpd.service"), str(directory / "smtpd.socket")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "smtpd" not in done.stderr, done.stderr


def test_check_reads_it(place: Place) -> None:
    directory = place.write("--supervisor", "systemd", "--kind", "listener")
    done = subprocess.run(qmailfork("check", str(directory)), capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("nothing found\n", 0)
    (directory / "env" / "SMTPEXTFORK").write_text("/absent\n")
    done = subprocess.run(qmailfork("check", str(directory)), capture_output=True, text=True, check=False)
    assert f"error: {directory}/env/SMTPEXTFORK: /absent is not there" in done.stdout


def test_systemd_has_the_listener_alone(place: Place) -> None:
    done = place.call("smtpd", "--supervisor", "systemd", "--kind", "stdio")
    assert done.returncode == 2
    assert "choose --kind listener" in done.stderr
