"""The executables: which program a name stands for, and which package they find."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from qmailfork.cli.main import COMMANDS

NEEDED = {"check": {"listen"}, "service": {"check", "listen"}}  # whose options or findings another one reads
TOP = Path(__file__).resolve().parents[2]
CHEAP = [sys.executable, "-I", "-S"]


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home" / "control").mkdir(parents=True)
    (tmp_path / "home" / "control" / "me").write_text("mail.joedomain.net\n")
    return tmp_path / "home"


def quit_at(script, home):
    environment = os.environ | {"QMAILHOME": str(home)}
    return subprocess.run(
        [*CHEAP, script], input="QUIT\r\n", env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ["qmailfork-smtpd", "qmail-smtpd"])
def test_a_link_of_any_name_is_what_it_leads_to(tmp_path, home, name):
    (tmp_path / "one").symlink_to(os.path.relpath(TOP / "bin" / "qmailfork-smtpd", tmp_path))
    (tmp_path / name).symlink_to(tmp_path / "one")
    assert quit_at(tmp_path / name, home).stdout.startswith("220 mail.joedomain.net ESMTP")


def copied(tree, place):
    for directory in ("bin", "qmailfork"):
        shutil.copytree(tree / directory, place / directory, symlinks=True)  # with its times, and what was compiled
    return place / "bin" / "qmailfork-smtpd"


def test_a_copied_tree_runs_its_own_code(tmp_path, home):
    assert quit_at(copied(TOP, tmp_path / "one"), home).returncode == 0
    script = copied(tmp_path / "one", tmp_path / "two")
    replies = tmp_path / "two" / "qmailfork" / "smtp" / "replies.py"
    replies.write_text(replies.read_text().replace('b"221 ', 'b"221 the other '))
    assert quit_at(script, home).stdout.endswith("221 the other mail.joedomain.net\n")


def test_a_program_without_its_package_says_so_in_one_line(tmp_path, home):
    (tmp_path / "bin").mkdir()
    script = shutil.copy(TOP / "bin" / "qmailfork-smtpd", tmp_path / "bin")
    # an environment without the package: an interpreter that has an editable install of it would find it through site
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}"
    ended = subprocess.run([python, "-I", "-S", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"qmailfork-smtpd: found no package qmailfork from {script}\n"


def test_the_command_without_its_libraries_says_so_in_one_line(tmp_path):
    venv.create(tmp_path, symlinks=True)
    python = tmp_path / "bin" / "python"
    ended = subprocess.run([python, TOP / "bin" / "qmailfork", "top"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    wanted = f"qmailfork: No module named 'click' for {python}: pip install qmailfork brings what it needs\n"
    assert ended.stderr == wanted


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_comes_without_the_others(command):
    code = f"import sys; from qmailfork.cli.main import main; main(['{command}', '--help'], standalone_mode=False)"
    argv = [sys.executable, "-c", f"{code}; print(*sys.modules)"]
    page, modules = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.rsplit("\n", 2)[:2]
    assert page.startswith(f"Usage: -c {command} ")
    others = {name for name in COMMANDS if f"qmailfork.cli.{name}" in modules.split()} - {command}
    assert others <= NEEDED.get(command, set())


COUNT_COMPILED = """
import sys
sys.path.insert(0, sys.argv[1])
from qmailfork import quickstart
compiled = []
sys.addaudithook(lambda event, arguments: compiled.append(1) if event == "compile" else None)
quickstart.renew(sys.argv[2])
print(len(compiled))
"""


@pytest.mark.parametrize(("place", "compiles"), [(".", True), ("not-there", False)])
def test_nothing_is_compiled_for_a_bundle_that_cannot_be_written(tmp_path, place, compiles):
    command = [*CHEAP, "-c", COUNT_COMPILED, TOP, tmp_path / place / "bundle"]
    counted = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (int(counted) > 0) == compiles


def test_the_operators_command_without_its_libraries_is_one_line() -> None:
    bare = "import sys; sys.modules['click'] = None; sys.argv = sys.argv[1:]; exec(compile(open(sys.argv[0]).read(),"
    bare += " sys.argv[0], 'exec'), {'__file__': sys.argv[0], '__name__': '__main__'})"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", bare, str(TOP / "bin" / "qmailfork")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("qmailfork: ")
    assert done.stderr.count("\n") == 1
    assert "click" in done.stderr
