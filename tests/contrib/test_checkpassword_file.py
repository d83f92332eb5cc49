"""checkpassword-file: as a server runs it, and as its operator does."""

import os
import signal
import smtplib
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import QmailHome, broken_off, qmailfork
from tests.tlsclient import NAME, certificate
from tests.ucspi import listening

PROGRAM = Path(__file__).resolve().parents[2] / "contrib" / "checkpassword-file"
ARGV = [sys.executable, "-I", str(PROGRAM)]
JOE = b"joe\0secret\0\0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with joe's password."""
    path = tmp_path / "passwords"
    assert operate("--add", path, "joe", said=b"secret\n").returncode == 0
    return path


def operate(*words: object, said: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    env = {"PATH": os.defpath, **more}
    done = subprocess.run([*ARGV, *map(str, words)], input=said, capture_output=True, env=env, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


def judge(told: bytes, *words: object) -> subprocess.CompletedProcess[bytes]:
    """Run it with `told` on its descriptor 3."""
    reader, writer = os.pipe()
    os.write(writer, told)
    os.close(writer)
    move = [sys.executable, "-c", "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"]
    argv = [*move, str(reader), *ARGV, *map(str, words)]
    try:
        done = subprocess.run(argv, pass_fds=[reader], capture_output=True, env={"PATH": os.defpath}, check=False)
    finally:
        os.close(reader)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (JOE, 0),
        (b"joe\0secret\0", 0),
        (b"joe\0secret\0<1.2@x>\0", 2),
        (b"joe\0Secret\0\0", 1),
        (b"joe\0\0\0", 1),
        (b"Joe\0secret\0\0", 1),
        (b"ann\0secret\0\0", 1),
        (b"#\0secret\0\0", 1),
        (b"joe:x\0secret\0\0", 1),
        (b"joe\0s\xffcret\0\0", 1),
        (b"joe\0secret", 2),
        (b"\0secret\0\0", 2),
        (b"", 2),
        (b"joe\0" + b"x" * 506 + b"\0\0", 1),
        (b"joe\0" + b"x" * 507 + b"\0\0", 2),
    ],
)
def test_what_is_told(file: Path, told: bytes, code: int) -> None:
    done = judge(told, file)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, int(code == 2))


def test_the_program_behind_it(file: Path) -> None:
    done = judge(JOE, file, "sh", "-c", "echo $USER; ls /dev/fd/3 2>/dev/null; exit 7")
    assert (done.returncode, done.stdout) == (7, b"joe\n")
    assert judge(b"joe\0wrong\0\0", file, "sh", "-c", "exit 0").returncode == 1
    assert judge(JOE, file, "/nowhere").returncode == 111


@pytest.mark.parametrize("name", ["PIPE", "XFSZ"])
def test_the_program_behind_it_ignores_no_signal(file: Path, name: str) -> None:
    done = judge(JOE, file, "sh", "-c", f"ulimit -c 0; kill -{name} $$; exit 0")
    assert done.returncode == -signal.Signals[f"SIG{name}"]


def test_no_descriptor() -> None:
    assert operate("/nowhere").returncode == 2


@pytest.mark.parametrize(
    ("content", "word"), [("joe", b"line 1"), ("# x\n\n:x", b"line 3"), ("joe:$1$x$y", b"hash"), ("joe:", b"hash")]
)
def test_a_file_that_makes_no_sense(tmp_path: Path, content: str, word: bytes) -> None:
    file = tmp_path / "passwords"
    file.write_text(content)
    done = judge(JOE, file)
    assert done.returncode == 111
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_or_anyone_s(file: Path) -> None:
    assert judge(JOE, f"{file}x").returncode == 111
    file.chmod(0o602)
    assert judge(JOE, file).returncode == 111


def test_add_and_remove(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"secret" not in file.read_bytes()
    assert b":$argon2id$" in file.read_bytes()
    file.chmod(0o640)
    file.write_bytes(b"# people\n" + file.read_bytes())
    assert operate("--add", file, "ann", said=b"other\r\n").returncode == 0
    assert operate("--add", file, "joe", said=b"third").returncode == 0
    assert file.read_bytes().startswith(b"# people\n")
    assert file.stat().st_mode & 0o777 == 0o640
    assert operate("--list", file).stdout == b"ann\njoe\n"
    codes = [judge(told, file).returncode for told in (JOE, b"joe\0third\0\0", b"ann\0other\0\0")]
    assert codes == [1, 0, 0]
    assert operate("--remove", file, "joe").returncode == 0
    assert operate("--remove", file, "joe").returncode == 1
    assert operate("--list", file).stdout == b"ann\n"


def test_changes_at_the_same_time(file: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        names = [f"user{number}" for number in range(8)]
        done = list(pool.map(lambda name: operate("--add", file, name, said=b"x").returncode, names))
    assert done == [0] * 8
    assert sorted(operate("--list", file).stdout.split()) == sorted(name.encode() for name in ["joe", *names])


def test_what_an_interrupted_change_has_left_is_not_used(tmp_path: Path) -> None:
    file, left, elsewhere = (tmp_path / name for name in ("passwords", "passwords.new", "elsewhere"))
    left.write_bytes(b"joe:half")
    left.chmod(0o644)
    assert operate("--add", file, "joe", said=b"secret").returncode == 0
    assert (file.stat().st_mode & 0o777, left.exists(), judge(JOE, file).returncode) == (0o600, False, 0)
    left.symlink_to(elsewhere)
    assert operate("--add", file, "ann", said=b"other").returncode == 0
    assert (elsewhere.exists(), file.is_symlink()) == (False, False)


@pytest.mark.parametrize("told", [JOE, b"jim\0secret\0\0"])
def test_too_little_memory_is_trouble(file: Path, told: bytes) -> None:
    limited = ["sh", "-c", 'ulimit -v 30000; exec "$@"', "sh", *ARGV, str(file)]
    reader, writer = os.pipe()
    os.write(writer, told)
    os.close(writer)
    script = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execvp(sys.argv[2], sys.argv[2:])"
    argv = [sys.executable, "-c", script, str(reader), *limited]
    done = subprocess.run(argv, pass_fds=[reader], capture_output=True, check=False)
    os.close(reader)
    assert (done.returncode, done.stderr.count(b"\n")) == (111, 1), done.stderr


def test_the_last_of_several_lines_counts_and_a_change_replaces_them_all(file: Path) -> None:
    old = file.read_bytes()
    assert operate("--add", file, "joe", said=b"other").returncode == 0
    file.write_bytes(old + file.read_bytes())
    assert [judge(told, file).returncode for told in (JOE, b"joe\0other\0\0")] == [1, 0]
    assert operate("--list", file).stdout == b"joe\n"
    assert operate("--add", file, "joe", said=b"third").returncode == 0
    assert file.read_bytes().count(b"joe:") == 1


def test_broken_off(file: Path) -> None:
    before = file.read_bytes()
    assert broken_off([*ARGV, "--add", str(file), "ann"]) == (111, b"checkpassword-file: KeyboardInterrupt\n")
    assert file.read_bytes() == before


def test_no_input(file: Path) -> None:
    argv = ["sh", "-c", 'exec "$@" <&-', "sh", *ARGV, "--add", str(file), "ann"]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"checkpassword-file: there is no input to take a password from\n")


@pytest.mark.parametrize("word", ["--help", "--list"])
def test_output_that_goes_nowhere(file: Path, word: str) -> None:
    file.write_bytes(file.read_bytes() + b"".join(b"user%d:x\n" % number for number in range(2000)))
    argv = [*ARGV, word, *([str(file)] if word == "--list" else [])]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False)
    said = b"checkpassword-file: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (111, said)
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *argv], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    source, sink = os.pipe()
    os.close(source)
    with open(sink, "wb") as pipe:
        done = subprocess.run(argv, stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_a_change_that_cannot_be_made_names_the_file(file: Path) -> None:
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *ARGV, "--add", str(file), "ann"]
    done = subprocess.run(limited, input=b"other\n", capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (111, f"checkpassword-file: {file}: File too large\n".encode())
    assert judge(JOE, file).returncode == 0
    nowhere = file.parent / "nowhere"
    done = operate("--add", nowhere / "file", "ann", said=b"other\n")
    assert (done.returncode, done.stderr) == (111, f"checkpassword-file: {nowhere}: {os.strerror(2)}\n".encode())


@pytest.mark.parametrize(("octets", "code"), [(512 - 3 - 4, 0), (512 - 3 - 3, 1)])
def test_a_user_and_a_password_as_long_as_can_be_told(file: Path, octets: int, code: int) -> None:
    user, password = "jö", b"x" * (octets + 1)
    assert operate("--add", file, user, said=password).returncode == code
    if not code:
        assert judge(user.encode() + b"\0" + password + b"\0\0", file).returncode == 0


@pytest.mark.parametrize("user", ["", "a:b", "a\nb", "#a"])
def test_a_user_that_cannot_be(file: Path, user: str) -> None:
    assert operate("--add", file, user, said=b"x").returncode == 2


@pytest.mark.parametrize("said", [b"", b"\n", b"a\0b\n", b"x" * 507])
def test_a_password_that_cannot_be(file: Path, said: bytes) -> None:
    assert operate("--add", file, "joe", said=said).returncode == 1
    assert judge(JOE, file).returncode == 0


def test_usage(tmp_path: Path) -> None:
    assert operate("--help").stdout.startswith(b"checkpassword-file: ")
    for words in ([], ["--add", "x"], ["--what"]):
        assert operate(*words).returncode == 2
    assert operate("--list", tmp_path / "none").returncode == 111
    assert operate("--add", tmp_path / "none" / "file", "joe", said=b"x").returncode == 111


def test_a_client_logs_in_by_it(file: Path, home: QmailHome) -> None:
    certificate(home)
    program = f"{sys.executable} -I {PROGRAM} {file}"
    argv = qmailfork("listen", "-1HR", "-l", NAME, "--workers", "1", "--smtps", "127.0.0.1", "0")
    env = {"PATH": os.defpath, "QMAILHOME": str(home.path), "SMTPAUTH": "!", "QMAILFORK_AUTHDELAY": "0"}
    context = ssl._create_unverified_context()
    with listening(argv, {**env, "QMAILFORK_CHECKPASSWORD": program}, home.path / "log", "127.0.0.1") as server:
        with smtplib.SMTP_SSL(server.host, server.port, context=context) as client:
            assert client.mail("joe@joedomain.net")[0] == 530
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("joe", "wrong")
        with smtplib.SMTP_SSL(server.host, server.port, context=context) as client:
            assert client.login("joe", "secret")[0] == 235
            assert client.mail("joe@joedomain.net")[0] == 250
            assert client.rcpt("x@elsewhere.org")[0] == 250
