"""The bundle of compiled modules (quickstart.py), by running the program from a tree of its own."""

import marshal
import os
import resource
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType

import pytest

from tests.support import PYTHON, ROOT, QmailHome, run_session
from tests.system.privilege import held_back

TAG = sys.implementation.cache_tag
OTHER = b"250 so be it\r\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the programs and the package, without anything compiled."""
    for name in ("bin", "qmailfork"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "qmailfork" / "__pycache__").mkdir()
    return tmp_path


def bundle_of(tree: Path, tag: str | None = TAG) -> Path:
    return tree / "qmailfork" / "__pycache__" / f"qmailfork-smtpd.{tag}.bundle"


def argv(tree: Path) -> list[str]:
    return [*PYTHON, str(tree / "bin" / "qmailfork-smtpd")]


def noop(tree: Path, home: QmailHome, command: list[str] | None = None) -> bytes:
    """What the server of this tree says to NOOP; it has to say all else, and nothing on descriptor 2."""
    session = run_session(command or argv(tree), home.environment(), b"NOOP\r\nQUIT\r\n")
    assert (session.status, session.log) == (0, [])
    greeting, answer, farewell = session.output.splitlines(keepends=True)
    assert (greeting[:3], farewell[:3]) == (b"220", b"221")
    return answer


def read(bundle: Path) -> dict[str, tuple[str, bool, tuple[int, int], CodeType]]:
    place, _, modules = marshal.loads(bundle.read_bytes())
    assert place == modules["qmailfork.quickstart"][0]
    return modules


def dumped(modules: dict[str, tuple[str, bool, tuple[int, int], CodeType]]) -> bytes:
    """A bundle of these."""
    place, _, _, code = modules["qmailfork.quickstart"]
    return marshal.dumps((place, code, modules))


def reworded(tree: Path) -> bytes:
    """The bundle of the tree with another OK in replies, its source's stamp as it is."""
    bundle = read(bundle_of(tree))
    source, package, stamp, _ = bundle["qmailfork.smtp.replies"]
    text = Path(source).read_text() + f"\nOK = {OTHER!r}\n"
    code = compile(text, source, "exec", dont_inherit=True, optimize=2)
    bundle["qmailfork.smtp.replies"] = (source, package, stamp, code)
    return dumped(bundle)


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_first_run_writes_it_and_the_second_lives_on_it(tree: Path, home: QmailHome) -> None:
    assert noop(tree, home) == b"250 ok\r\n"
    assert {"qmailfork", "qmailfork.quickstart", "qmailfork.drivers.stdio"} <= set(read(bundle_of(tree)))
    bundle_of(tree).write_bytes(reworded(tree))
    assert noop(tree, home) == OTHER


def test_a_source_that_changed_is_used_at_once_and_the_bundle_is_written_anew(tree: Path, home: QmailHome) -> None:
    noop(tree, home)
    rewrite(tree / "qmailfork" / "smtp" / "replies.py", "250 ok", "250 yes")
    assert noop(tree, home) == b"250 yes\r\n"
    assert "qmailfork.quickstart" in read(bundle_of(tree))
    seen = bundle_of(tree).stat()
    assert noop(tree, home) == b"250 yes\r\n"
    assert bundle_of(tree).stat() == seen  # what was written is whole: no need to write again


def test_a_source_of_another_time_alone_counts_as_changed(tree: Path, home: QmailHome) -> None:
    noop(tree, home)
    bundle_of(tree).write_bytes(reworded(tree))
    os.utime(tree / "qmailfork" / "smtp" / "replies.py", (1, 1))
    assert noop(tree, home) == b"250 ok\r\n"


def test_a_change_of_the_loader_itself_is_seen(tree: Path, home: QmailHome) -> None:
    noop(tree, home)
    source = tree / "qmailfork" / "quickstart.py"
    rewrite(source, '"""The start', '"""The quick start')
    noop(tree, home)
    stat = source.stat()
    assert read(bundle_of(tree))["qmailfork.quickstart"][2] == (stat.st_mtime_ns, stat.st_size)


def broken(whole: bytes) -> dict[str, bytes]:
    place, code, _ = marshal.loads(whole)
    return {
        "empty": b"",
        **{f"cut at {part}": whole[: int(len(whole) * part)] for part in (0.01, 0.1, 0.5, 0.9, 0.99)},
        "noise": b"\x00\xff" * 500,
        "text": b"hello world\n",
        "a number": marshal.dumps(7),
        "a list": marshal.dumps([1, 2]),
        "nothing": marshal.dumps(None),
        "an empty one": marshal.dumps((place, code, {})),
        "a short one": marshal.dumps((place, code)),
        "a dictionary": marshal.dumps({"qmailfork.quickstart": (place, False, (0, 0), code)}),
        "no code": marshal.dumps((place, None, {})),
    }


BROKEN = broken(marshal.dumps(("", compile("", "x", "exec"), {})))


@pytest.mark.parametrize("how", BROKEN)
def test_a_bundle_that_is_broken_is_passed_over_and_written_anew(tree: Path, home: QmailHome, how: str) -> None:
    noop(tree, home)
    bundle_of(tree).write_bytes(broken(bundle_of(tree).read_bytes())[how])
    assert noop(tree, home) == b"250 ok\r\n"
    assert {"qmailfork.quickstart", "qmailfork.drivers.stdio"} <= set(read(bundle_of(tree)))


def test_a_directory_in_its_place(tree: Path, home: QmailHome) -> None:
    bundle_of(tree).mkdir()
    assert noop(tree, home) == b"250 ok\r\n"
    assert leftovers(tree) == []


def leftovers(tree: Path) -> list[str]:
    return [file.name for file in bundle_of(tree).parent.iterdir() if not file.name.endswith((".bundle", ".pyc"))]


def test_a_directory_that_may_not_be_written(tree: Path, home: QmailHome) -> None:
    directory = bundle_of(tree).parent
    directory.chmod(0o555)
    assert noop(tree, home, held_back(argv(tree))) == b"250 ok\r\n"
    assert list(directory.iterdir()) == []
    shutil.rmtree(directory)
    directory.parent.chmod(0o555)
    assert noop(tree, home, held_back(argv(tree))) == b"250 ok\r\n"
    assert not directory.exists()
    directory.parent.chmod(0o755)


def test_a_bundle_that_may_not_be_read(tree: Path, home: QmailHome) -> None:
    noop(tree, home)
    bundle_of(tree).chmod(0)
    assert noop(tree, home, held_back(argv(tree))) == b"250 ok\r\n"


def test_a_disk_that_is_full(tree: Path, home: QmailHome) -> None:
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, {resource.RLIM_INFINITY}));"
    code += "import posix; posix.execv(argv[0], argv)"
    limited = [sys.executable, "-c", f"argv = {argv(tree)}; {code}"]
    assert noop(tree, home, limited) == b"250 ok\r\n"
    assert leftovers(tree) == []
    assert not bundle_of(tree).exists()


def test_each_python_has_its_own(tree: Path, home: QmailHome) -> None:
    noop(tree, home)
    bundle_of(tree, "cpython-300").write_bytes(reworded(tree))
    shutil.copy(bundle_of(tree, "cpython-300"), bundle_of(tree, "pypy39"))
    assert noop(tree, home) == b"250 ok\r\n"


def test_many_first_runs_at_once(tree: Path, home: QmailHome) -> None:
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: noop(tree, home), range(6))) == {b"250 ok\r\n"}
    assert leftovers(tree) == []
    seen = bundle_of(tree).stat()
    noop(tree, home)
    assert (bundle_of(tree).stat().st_ino, bundle_of(tree).stat().st_mtime_ns) == (seen.st_ino, seen.st_mtime_ns)


def test_a_tree_that_was_moved(tree: Path, home: QmailHome, tmp_path_factory: pytest.TempPathFactory) -> None:
    noop(tree, home)
    bundle_of(tree).write_bytes(reworded(tree))
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "tree"
    shutil.copytree(tree, elsewhere, symlinks=True)
    shutil.rmtree(tree / "qmailfork")
    assert noop(elsewhere, home) == b"250 ok\r\n"


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def test_it_has_nothing_that_is_for_type_checkers_alone(tree: Path, home: QmailHome) -> None:
    noop(tree, home)
    bundle = read(bundle_of(tree))
    names = {name for entry in bundle.values() for code in codes(entry[3]) for name in code.co_names}
    assert "posix_spawn" in names
    assert not names & {"__annotations__", "Callable", "Iterable", "Mapping"}
    assert "qmailfork.bundles" not in bundle
