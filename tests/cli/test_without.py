"""The operator's commands without standard output, standard error or a current directory."""

import subprocess
from pathlib import Path

import pytest

from tests.support import qmailfork

LINE = b"qmail-smtpd: pid 1 Accept::RCPT::Rcpthosts_Rcptto P:SMTP S:192.0.2.1:unknown H:x F:a@b.net T:joe@c.net\n"
SPAMDYKE = b"max-recipients=50\n"


@pytest.mark.parametrize(
    "words", ["service --yes new", "checker run ./mine", "migrate --spamdyke /dev/null new", "check new"]
)
def test_in_a_directory_that_is_gone(words: str, tmp_path: Path) -> None:
    argv = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *qmailfork(*words.split())]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False), done.stderr
    assert done.stderr.splitlines()[-1] == b"Error: the current directory is not there any more"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("check", 2),
        ("report log", 0),
        ("report --json log", 0),
        ("report nothing", 111),
        ("replay --env env log", 0),
        ("migrate --spamdyke spamdyke.conf new", 0),
        ("top --once nobody/there", 111),
        ("top nobody/there", 100),
        ("nonsense", 2),
    ],
)
@pytest.mark.parametrize("closed", ["1", "2", "1 2", "0 1 2"])
def test_without(closed: str, words: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(LINE)
    (tmp_path / "spamdyke.conf").write_bytes(SPAMDYKE)
    (tmp_path / "env").write_bytes(b"SMTPEXTFORK=/bin/true\n")
    script = f'exec "$@" {" ".join(f"{number}>&-" for number in closed.split())}'
    argv = ["sh", "-c", script, "sh", *qmailfork(*words.split())]
    done = subprocess.run(argv, cwd=tmp_path, env={"QMAILHOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)  # fmt: skip
    assert (done.returncode, b"Traceback" in done.stderr) == (code, False), done.stderr
    assert not ("1" in closed and done.stdout)
    assert not ("2" in closed and done.stderr)
