"""Writing the bundle of a program's compiled modules (quickstart.py)."""

import ast
import marshal
import posix
import sys
from types import CodeType

from qmailfork.quickstart import ME, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.quickstart import Stamp


def write(descriptor: int, draft: str, path: str) -> None:
    """Put what is imported of this package into the file `draft`, open as `descriptor`, which becomes the bundle at
    `path` once it is whole.
    """
    modules = {name: module for name, module in sys.modules.items() if name.startswith("qmailfork")}
    del modules[__name__]
    sources = {name: str(module.__file__) for name, module in modules.items()}
    try:
        entries = {name: _entry(source) for name, source in sources.items()}
        place, _, _, code = entries[ME]
        data = marshal.dumps((place, code, entries))
        if posix.write(descriptor, data) < len(data):
            raise OSError  # a full disk
        posix.close(descriptor)
        posix.rename(draft, path)
    except OSError:
        try:
            posix.unlink(draft)
        except OSError:
            return


def _entry(source: str) -> tuple[str, bool, "Stamp | None", CodeType]:
    seen = stamp(source)
    with open(source, "rb") as file:
        code = compile(_bare(file.read()), source, "exec", dont_inherit=True, optimize=2)
    return source, source.endswith("/__init__.py"), seen, code


def _bare(source: bytes) -> ast.Module:
    """The syntax tree of `source` without what is there for type checkers alone: to make each annotation at the start
    costs a tenth of the session.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                setattr(node, name, [_untyped(one) for one in block])
    return ast.fix_missing_locations(tree)


def _untyped(statement: ast.stmt) -> ast.stmt:
    if isinstance(statement, ast.AnnAssign):
        if statement.value is None:
            return ast.copy_location(ast.Pass(), statement)
        return ast.copy_location(ast.Assign([statement.target], statement.value), statement)
    if isinstance(statement, ast.If) and isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING":
        return ast.copy_location(ast.Pass(), statement)
    return statement
