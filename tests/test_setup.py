"""What is installed: setup.cfg names the packages one by one, so one could be forgotten."""

import configparser
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def test_every_package_and_checker_is_installed():
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg")
    packages, scripts = (setup["options"][name].split() for name in ("packages", "scripts"))
    modules = [*TOP.glob("qmailfork/**/__init__.py"), *TOP.glob("contrib/xf*/**/__init__.py")]
    found = {".".join(path.parent.relative_to(TOP).parts).removeprefix("contrib.") for path in modules}
    assert sorted(packages) == sorted(found)
    checkers = {str(path.relative_to(TOP)) for path in (TOP / "contrib" / "checkers").iterdir() if path.is_file()}
    assert checkers - {"contrib/checkers/template"} <= set(scripts)  # which is to be copied, not run
