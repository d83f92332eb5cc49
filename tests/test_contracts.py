"""What holds for the package as a whole: the direction of its imports, its programs, its installation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PYTHON, ROOT, QmailHome, run_session

PROGRAMS = ("qmailfork", "qmailfork-smtpd", "qmailfork-queue")
SESSION = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<joe@more.example>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"


def test_imports_only_go_down() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--config", "setup.cfg"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("layer", ["smtp", "programs", "conversation"])
def test_the_core_stands_without_an_operating_system(layer: str) -> None:
    """No module of it brings in what it must not know, by whatever way."""
    files = [file.stem for file in (ROOT / "qmailfork" / layer).glob("[!_]*.py")]
    names = [f"qmailfork.{layer}.{name}" for name in files if name != "jsonlines"]  # json has its own wants
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules); [*map(__import__, {names})]"
    code += "; print(*(set(sys.modules) - before))"
    done = subprocess.run([*PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()
    brought = {name for name in done.stdout.split() if not name.startswith("qmailfork")}
    assert brought <= {"binascii"}  # base64, which AUTH is in


def test_the_programs_are_one_script_by_three_names() -> None:
    for name in PROGRAMS:
        file = ROOT / "bin" / name
        assert file.resolve() == ROOT / "bin" / "qmailfork-smtpd"
        assert os.access(file, os.X_OK)
    for name in set(PROGRAMS) - {"qmailfork-smtpd"}:
        assert os.readlink(ROOT / "bin" / name) == "qmailfork-smtpd"  # so that a clone may be moved


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of a fresh virtual environment into which a wheel of this tree was installed: takes a while."""
    directory = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    source = directory / "source"
    source.mkdir()
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name not in ("tests", "build", "dist") and path.suffix != ".egg-info":
            subprocess.run(["cp", "-RP", str(path), str(source)], check=True)
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(directory), str(source)], check=True)
    (wheel,) = directory.glob("*.whl")
    fresh = directory / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(fresh)], check=True)
    subprocess.run([*pip, "--python", str(fresh / "bin" / "python"), "install", str(wheel)], check=True)
    return fresh / "bin"


def words(installed: Path, command: str) -> list[str]:
    """The argv of a shell command line in that environment."""
    return ["sh", "-c", f"PATH={installed}:$PATH; {command}"]


@pytest.mark.parametrize("command", ["exec python3 -I -S $(command -v qmailfork-smtpd)", "exec qmailfork-smtpd"])
def test_an_installed_server_works(installed: Path, home: QmailHome, command: str) -> None:
    home.more_rcpthosts(["more.example"])  # the library for it has to be found without site
    session = run_session(words(installed, command), home.environment(), SESSION)
    assert session.status == 0, session.log
    assert [line[:3] for line in session.output.splitlines()] == [b"220", b"250", b"250", b"354", b"250", b"221"]
    assert home.messages()[0].body == b"hello\n"


@pytest.mark.parametrize("command", ["exec python3 -I -S $(command -v qmailfork-queue)", "exec qmailfork-queue"])
def test_an_installed_queue_works(installed: Path, tmp_path: Path, command: str) -> None:
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    (tmp_path / "envelope").write_bytes(b"Fa@example.net\0Tjoe@joedomain.net\0\0")
    with (tmp_path / "envelope").open("rb") as envelope:
        done = subprocess.run(
            words(installed, command), env={**os.environ, "QMAILFORK_MAILDIR": str(tmp_path)}, input=b"x\n",
            stdout=envelope, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_an_installed_operators_command_works(installed: Path) -> None:
    done = subprocess.run(words(installed, "exec qmailfork --version"), capture_output=True, text=True, check=True)
    assert "qmailfork" in done.stdout


def test_an_installed_server_starts_from_its_bundle(installed: Path, home: QmailHome) -> None:
    run_session(words(installed, "exec qmailfork-smtpd"), home.environment(), b"QUIT\r\n")
    (package,) = installed.parent.glob("lib/python*/site-packages/qmailfork")
    assert (package / "__pycache__" / f"qmailfork-smtpd.{sys.implementation.cache_tag}.bundle").exists()
