"""Without its extras: what needs a library that is not installed says so in one sentence, and all else works."""

import os
from pathlib import Path

import pytest

from tests import bare
from tests.support import ROOT

ZSTANDARD = b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00"
LACKING = [
    "argon2", "jinja2", "ldap3", "matplotlib", "orjson", "prometheus_client", "psycopg", "redis", "spf", "uvloop",
    "zstandard",
]  # fmt: skip
TCP = ("-H", "-R", "127.0.0.1", "0")


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare.libraries(tmp_path_factory.mktemp("bare") / "lib")


def test_they_are_not_there(libraries: Path) -> None:
    code = f"from importlib.util import find_spec; print([name for name in {LACKING} if find_spec(name)])"
    assert bare.run(libraries, "-c", code).stdout == "[]\n"


@pytest.mark.parametrize(("option", "library"), [("--png", "matplotlib"), ("--html", "jinja2")])
def test_a_picture_and_a_page(libraries: Path, tmp_path: Path, option: str, library: str) -> None:
    done = bare.qmailfork(libraries, "report", option, f"{tmp_path}/file", "-")
    assert done.stderr == (
        f"qmailfork report: {option}: needs the Python library {library} (pip install 'qmailfork[report]'): "
        f"No module named '{library}'\n"
    )
    assert (done.returncode, os.listdir(tmp_path)) == (2, [])


def test_a_log_compressed_by_zstd(libraries: Path) -> None:
    done = bare.qmailfork(libraries, "report", "-", given=ZSTANDARD)
    words = "standard input: compressed by zstd, and the library zstandard is not installed"
    assert (done.stderr, done.returncode) == (f"qmailfork report: {words}\n", 111)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("top", "unix:/absent"), "top: prometheus-client is not installed; the extra qmailfork[metrics] brings it"),
        (
            ("listen", "--metrics", "unix:metrics", *TCP),
            "--metrics: prometheus-client is not installed; the extra qmailfork[metrics] brings it",
        ),
        (("listen", "--loop", "uvloop", *TCP), "--loop: uvloop is not installed"),
    ],
)
def test_the_listener_and_who_watches_it(libraries: Path, words: tuple[str, ...], sentence: str) -> None:
    done = bare.qmailfork(libraries, *words)
    assert (done.stderr, done.returncode) == (f"qmailfork: fatal: {sentence}\n", 111)


def test_a_password_file(libraries: Path, tmp_path: Path) -> None:
    program = str(ROOT / "contrib" / "checkpassword-file")
    done = bare.run(libraries, program, "--add", str(tmp_path / "file"), "joe", given=b"secret\n")
    assert (done.stderr, done.returncode) == ("checkpassword-file: argon2 is missing: install qmailfork[auth]\n", 111)


def test_a_report_needs_none_of_them(libraries: Path) -> None:
    line = b'{"event":"Accept::RCPT::Rcpthosts_Rcptto","pid":1,"ip":"203.0.113.7","recipient":"joe@joedomain.net"}\n'
    done = bare.qmailfork(libraries, "report", "--width", "80", "-", given=line)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "joedomain.net" in done.stdout
