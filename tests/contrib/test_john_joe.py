"""john-joe-checker in C, Python and sh: the same answers, and what the C one does with long addresses."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import support
from tests.ucspi import tcpserver

HERE = Path(__file__).parents[2] / "contrib" / "john-joe"
JOHN, JOE = "john@foodomain.net", "joe@joedomain.net"
FITS, OVERFLOWS = 253, 254  # octets of an address in the C program's char[254]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The C program as the Makefile builds it."""
    place = tmp_path_factory.mktemp("john-joe")
    for name in ("Makefile", "john-joe-checker.c"):
        shutil.copy(HERE / name, place)
    subprocess.run(["make", "-s"], cwd=place, check=True)
    return place / "john-joe-checker"


def test_make_install(built, tmp_path):
    subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}"], cwd=built.parent, check=True)
    assert (tmp_path / "usr/local/bin/john-joe-checker").stat().st_mode & 0o777 == 0o755


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The C program as a compiler builds it that is told the source's age and nothing else."""
    program = tmp_path_factory.mktemp("plain") / "john-joe-checker"
    subprocess.run(["cc", "-std=gnu89", "-w", "-o", program, HERE / "john-joe-checker.c"], check=True)
    return program


@pytest.fixture(params=["c", "python", "sh"])
def command(request, built):
    return {
        "c": [built],
        "python": [sys.executable, "-I", "-S", HERE / "john-joe-checker.py"],
        "sh": [HERE / "john-joe-checker.sh"],
    }[request.param]


def run(command, **env):
    env["PATH"] = "/usr/bin:/bin"
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_both_match_defers(command):
    assert run(command, REMOTEMF=JOHN, REMOTERCPT=JOE).returncode == 101


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("", JOE), (JOHN, ""), (JOE, JOHN), (JOHN, "joe@joedomain.net "), (f"{JOHN} {JOE}", ""), (f"{JOHN} ", JOE),
        ("(", JOE), ("!", "="), (JOHN, "-n"), ("*", "*"), (JOHN, "$(exit 101)"),
    ],
)  # fmt: skip
def test_no_match_passes(command, sender, recipient):
    done = run(command, REMOTEMF=sender, REMOTERCPT=recipient)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("sender", "recipient"), [("John@FooDomain.net", JOE), (JOHN, "joe@JOEDOMAIN.NET")])
def test_case_does_not_get_past_it(command, built, sender, recipient):
    assert run(command, REMOTEMF=sender, REMOTERCPT=recipient).returncode == (0 if command == [built] else 101)


@pytest.mark.parametrize("missing", ["REMOTEMF", "REMOTERCPT"])
def test_unset_variable_passes_and_is_named(command, missing):
    env = {"REMOTEMF": JOHN, "REMOTERCPT": JOE}
    del env[missing]
    done = run(command, **env)
    assert (done.returncode, done.stderr.strip()) == (0, f"No {missing} var")


@pytest.mark.parametrize("which", ["REMOTEMF", "REMOTERCPT"])
def test_c_has_room_for_253_octets_and_aborts_at_254(built, which):
    env = {"REMOTEMF": JOHN, "REMOTERCPT": JOE}
    assert run([built], **env | {which: "a" * FITS}).returncode == 0
    done = run([built], **env | {which: "a" * OVERFLOWS})
    assert done.returncode == -6, "SIGABRT, from the C library's check of strcpy"
    assert "buffer overflow" in done.stderr


def test_c_built_plainly_is_killed_by_a_long_sender(plain):
    assert run([plain], REMOTEMF=JOHN, REMOTERCPT=JOE).returncode == 101
    assert run([plain], REMOTEMF="a" * 20000, REMOTERCPT=JOE).returncode < 0


@pytest.mark.parametrize(("fail", "reply"), [(None, b"250"), ("defer", b"451"), ("reject", b"554")])
def test_a_long_sender_gets_past_c_unless_failure_is_not_a_pass(built, home, tmp_path, fail, reply):
    env = home.environment(SMTPEXTFORK=str(built), SMTPEXTFORKFAIL=fail)
    with tcpserver(support.smtpd(), env, tmp_path) as server, server.connect() as client:
        client.reply()
        client.command(f"MAIL FROM:<{JOHN}>")
        assert client.command(f"RCPT TO:<{JOE}>")[0][:3] == b"454"
        client.command("RSET")
        client.command(f"MAIL FROM:<{'a' * OVERFLOWS}@foodomain.net>")
        assert client.command(f"RCPT TO:<{JOE}>")[0][:3] == reply
        assert "Error::RCPT::Extfork_Signal" in server.wait_log("Extfork_Signal")


@pytest.mark.parametrize("octets", [FITS, OVERFLOWS, 900, 100_000])
@pytest.mark.parametrize("language", ["python", "sh"])
def test_python_and_sh_take_any_length(language, octets):
    command = {
        "python": [sys.executable, "-I", "-S", HERE / "john-joe-checker.py"],
        "sh": [HERE / "john-joe-checker.sh"],
    }[language]
    assert run(command, REMOTEMF="a" * octets, REMOTERCPT="b" * octets).returncode == 0
