"""What is installed and given away: setup.cfg and MANIFEST.in name it, so something could be forgotten."""

import configparser
import shutil
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
GIVEN = (".ci", "CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "bin", "contrib", "man", "pyproject.toml",
         "qmailfork", "setup.cfg", "tests")  # fmt: skip
MADE = ("__pycache__", "qmailfork-fence", "qmailfork-handoff", "john-joe-checker")


def test_every_package_and_checker_is_installed():
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg")
    packages, scripts = (setup["options"][name].split() for name in ("packages", "scripts"))
    modules = [*TOP.glob("qmailfork/**/__init__.py"), *TOP.glob("contrib/xf*/**/__init__.py")]
    found = {".".join(path.parent.relative_to(TOP).parts).removeprefix("contrib.") for path in modules}
    assert sorted(packages) == sorted(found)
    checkers = {str(path.relative_to(TOP)) for path in (TOP / "contrib" / "checkers").iterdir() if path.is_file()}
    assert checkers - {"contrib/checkers/template"} <= set(scripts)  # which is to be copied, not run


def test_the_source_distribution_has_all_that_the_tree_has(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in GIVEN:
        copy = shutil.copy if (TOP / name).is_file() else partial(shutil.copytree, ignore=shutil.ignore_patterns(*MADE))
        copy(TOP / name, tree / name)
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    argv = [sys.executable, "-c", "from setuptools import setup; setup()", "-q", "sdist", "-d", tmp_path]
    subprocess.run(argv, cwd=tree, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as given:
        names = {member.name.partition("/")[2] for member in given if member.isfile()}
    assert files - names == set()
