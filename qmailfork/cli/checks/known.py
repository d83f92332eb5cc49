"""The variables that the code which serves mail asks for, read out of that code: no list that could fall behind it."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import qmailfork

SERVING = ("programs", "conversation", "system", "drivers")
ASKING = frozenset({"get", "pop", "limit", "is_on", "setdefault", "switch"})  # functions that are given a name
_NAME = re.compile(rb"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_QUOTED = re.compile(rb"""b["']%b["']""" % _NAME.pattern)
_IN_TEXT = re.compile(rb"[A-Z][A-Z0-9_]{3,40}")
LONGEST = 4 * 1024 * 1024  # octets of a program that are looked through


@functools.cache
def ours() -> frozenset[bytes]:
    """Every variable that the server's own modules ask an environment for."""
    top = Path(qmailfork.__file__).parent
    return frozenset(
        name for layer in SERVING for path in sorted((top / layer).rglob("*.py")) for name in _asked(path.read_bytes())
    )


def _asked(source: bytes) -> Iterator[bytes]:
    if not _QUOTED.search(source):  # most files name none, and parsing is slow
        return
    for node in ast.walk(ast.parse(source)):
        yield from filter(None, map(_name, _looked_up(node)))


def _looked_up(node: ast.AST) -> list[ast.expr]:
    """What a piece of code may look up by: environment.get(NAME), environment[NAME], NAME in …, (NAME, NAME …)."""
    if isinstance(node, ast.Call):
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return node.args[:1] if function in ASKING else []
    if isinstance(node, ast.Subscript):
        return [node.slice]
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        return [node.left]
    if isinstance(node, (ast.Tuple, ast.Set, ast.List)) and len(node.elts) > 1 and all(map(_name, node.elts)):
        return node.elts
    return []


def _name(node: ast.expr) -> bytes:
    """The name that a constant may be; empty where it is none."""
    value = node.value if isinstance(node, ast.Constant) else b""
    return value if isinstance(value, bytes) and len(value) > 3 and _NAME.fullmatch(value) else b""


@functools.cache
def of_program(path: bytes) -> frozenset[bytes]:
    """What may be names of variables in the text of a program, and of the packages that our own checkers share."""
    try:
        with open(path, "rb") as file:
            text = file.read(LONGEST)
    except OSError:
        return frozenset()
    names = frozenset(_IN_TEXT.findall(text))
    for package in re.findall(rb"^(?:from|import) (xf[a-z]+)", text, re.MULTILINE):
        names |= _of_package(package.decode())
    return names


@functools.cache
def _of_package(name: str) -> frozenset[bytes]:
    """The same for a package that stands beside this one."""
    top = Path(qmailfork.__file__).parent.parent
    files = [file for place in (top, top / "contrib") for file in (place / name).rglob("*.py")]
    return frozenset(found for file in files for found in _IN_TEXT.findall(file.read_bytes()))
