"""A worker loads nothing of the package after its start: what functions import is loaded before (worker/stock.py)."""

import ast
import subprocess
import sys
from pathlib import Path

import qmailfork

PACKAGE = Path(qmailfork.__file__).parent
PLACES = ("conversation", "programs", "smtp", "system", "drivers/worker")
TOLD = "import sys; from qmailfork.drivers import listener; from qmailfork.drivers.worker import stock; stock.load(); "


def imported(function: ast.AST) -> set[str]:
    """The modules of the package that an import in `function` may load."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qmailfork."):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name for name in names if is_module(name)} or {str(node.module)}
    return found


def is_module(name: str) -> bool:
    return PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py").exists()


def test_all_that_functions_import_is_loaded() -> None:
    wanted: set[str] = set()
    for file in (file for place in PLACES for file in (PACKAGE / place).glob("*.py")):
        functions = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)]
        wanted = wanted.union(*map(imported, functions))
    assert "qmailfork.conversation.encryption" in wanted
    argv = [sys.executable, "-c", TOLD + "print(*sys.modules)"]
    loaded = subprocess.run(argv, cwd=PACKAGE.parent, capture_output=True, text=True, check=True).stdout.split()
    assert wanted <= set(loaded)
