"""A Python checker kept imported: as if it had been run, on both drivers; and what is true of the warm one alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import Talk
from tests.sessions import KINDS, begin, rcpt, serving, session
from tests.support import PYTHON, QmailHome, alive, wait_for
from tests.system.privilege import KILL_NOBODY_ELSE

CHECKER = """\
import os, signal, sys
NUMBER = {number}
with open("imports", "a") as file:
    file.write("x")

def main():
    local = os.environ["REMOTERCPT"].partition("@")[0]
    if local == "seen":
        with open("seen", "w") as file:
            print(sys.argv, os.getcwd(), os.environ["REMOTEMF"], os.environ.get("TCPREMOTEIP"), __name__, file=file)
            print(os.getpgid(0) == os.getpid(), sys.stdin.read() == "", sorted(os.listdir("/dev/fd")), file=file)
            print(signal.getsignal(signal.SIGCHLD), signal.pthread_sigmask(signal.SIG_BLOCK, ()), file=file)
    if local == "raises":
        raise ValueError("what now")
    if local == "exits":
        sys.exit(101)
    if local == "hangs":
        pid = os.fork()
        if pid:
            with open("pid", "w") as file:
                file.write(str(pid))
        signal.pause()
    if local == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    print("Header: X-Number:", NUMBER)
    return NUMBER if local == "number" else None

if __name__ == "__main__":
    sys.exit(main())
"""
SCRIPT = """\
import os, sys
sys.exit(100 if os.environ["REMOTERCPT"].startswith("bad") and __name__ == "__main__" else 0)
"""
DESERTER = """\
import os, signal, sys

def main():
    child = os.fork()
    if not child:
        signal.pause()
    os.setpgid(child, 0)
    os.setpgid(0, child)
    with open("group.new", "w") as file:
        file.write(str(child))
    os.rename("group.new", "group")
    os.waitpid(child, 0)

if __name__ == "__main__":
    sys.exit(main())
"""
HANGING = """\
import os, signal
with open("pid.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("pid.new", "pid")
signal.pause()

def main():
    return 0
"""
EMIGRANT = """\
import os, signal, sys

def main():
    with open("pid.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename("pid.new", "pid")
    os.setuid(65534)
    signal.pause()

if __name__ == "__main__":
    sys.exit(main())
"""
NUMEROUS = """\
import os, resource, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.setuid(1000000 + os.getpid())
resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))

def main():
    os.write(2, b"pid %d\\n" % os.getpid())
    signal.sigwait([signal.SIGUSR1])
    return 100

if __name__ == "__main__":
    sys.exit(main())
"""
both = pytest.mark.parametrize("kind", KINDS)


def write(home: QmailHome, text: str) -> Path:
    file = home.path / "bin" / "checker.py"
    draft = file.with_suffix(".new")
    draft.write_text(f"#!{' '.join(PYTHON[:1])}\n" + text)
    draft.chmod(0o755)
    draft.rename(file)
    return file


@pytest.fixture
def talk(kind: str, home: QmailHome) -> Iterator[Talk]:
    write(home, CHECKER.replace("{number}", "100"))
    env = home.environment(
        SMTPEXTFORK="preload:bin/checker.py one two", SMTPEXTFORKTIMEOUT="2", SMTPEXTFORKFAIL="defer"
    )
    with session(kind, home, env) as opened:
        begin(opened)
        yield opened


@both
def test_exit_codes(talk: Talk) -> None:
    codes = [rcpt(talk, local)[:3] for local in ("joe", "number", "exits", "raises", "joe")]
    assert codes == [b"250", b"554", b"454", b"250", b"250"]
    assert any("ValueError: what now" in line for line in talk.log())


@both
def test_a_crash_is_a_failure(talk: Talk) -> None:
    assert rcpt(talk, "crashes").startswith(b"451")
    assert any("Error::RCPT::Extfork_Signal" in line for line in talk.log())


@both
def test_the_time_limit_kills_the_group(talk: Talk, home: QmailHome) -> None:
    assert rcpt(talk, "hangs").startswith(b"451")
    assert any("Error::RCPT::Extfork_Timeout" in line for line in talk.log())
    pid = int((home.path / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), what="its end")


@both
@pytest.mark.parametrize("scheme", ["", "preload:"])
def test_the_time_limit_ends_one_that_has_left_its_group(kind: str, scheme: str, home: QmailHome) -> None:
    write(home, DESERTER)
    variables = home.environment(SMTPEXTFORK=f"{scheme}bin/checker.py", SMTPEXTFORKTIMEOUT="2", SMTPEXTFORKFAIL="defer")
    with session(kind, home, variables) as talk:
        begin(talk)
        for _ in range(2):
            assert rcpt(talk, "joe")[:3] == b"451"
            os.killpg(int((home.path / "group").read_text()), 9)
        assert sum("Error::RCPT::Extfork_Timeout" in line for line in talk.log()) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@both
@pytest.mark.parametrize("scheme", ["", "preload:"])
def test_the_time_limit_holds_for_one_that_cannot_be_killed(kind: str, scheme: str, home: QmailHome) -> None:
    write(home, EMIGRANT)
    variables = home.environment(SMTPEXTFORK=f"{scheme}bin/checker.py", SMTPEXTFORKTIMEOUT="2", SMTPEXTFORKFAIL="defer")
    with serving(kind, home, variables, by=KILL_NOBODY_ELSE) as opened, opened() as talk:
        talk.client.reply()
        begin(talk)
        for _ in range(2):
            assert rcpt(talk, "joe")[:3] == b"451"
            os.kill(int((home.path / "pid").read_text()), 9)
        assert sum("Error::RCPT::Extfork_Timeout" in line for line in talk.log()) == 2


@both
def test_the_time_limit_ends_an_import_that_hangs(kind: str, home: QmailHome) -> None:
    write(home, HANGING)
    variables = home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKTIMEOUT="2", SMTPEXTFORKFAIL="defer")
    with session(kind, home, variables) as talk:
        begin(talk)
        assert rcpt(talk, "joe")[:3] == b"451"
        assert sum("Error::RCPT::Extfork_Timeout" in line for line in talk.log()) == 1
        wait_for(lambda: not alive(int((home.path / "pid").read_text())), what="its end")
        write(home, "def main():\n    return 100\n\nif __name__ == '__main__':\n    raise SystemExit(main())\n")
        assert rcpt(talk, "joe")[:3] == b"554"


@both
def test_where_it_runs(kind: str, talk: Talk, home: QmailHome) -> None:
    assert rcpt(talk, "seen") == b"250 ok"
    where, rest, signals = (home.path / "seen").read_text().splitlines()
    assert where.startswith(f"['bin/checker.py', 'one', 'two'] {home.path} a@example.net ")
    assert where.split()[-2] != "None"
    assert rest == "True True ['0', '1', '2', '3', '4']"  # 3 is the file, 4 the directory
    assert signals == "0 set()"  # the default, and nothing blocked


@pytest.mark.parametrize("kind", ["listener"])
def test_it_is_imported_once_and_again_when_it_changes(talk: Talk, home: QmailHome) -> None:
    assert [rcpt(talk, "number")[:3] for _ in range(20)] == [b"554"] * 20
    assert (home.path / "imports").read_text() == "x"
    write(home, CHECKER.replace("{number}", "101"))
    assert [rcpt(talk, "number")[:3] for _ in range(20)] == [b"454"] * 20
    assert (home.path / "imports").read_text() == "xx"


@both
@pytest.mark.parametrize("text", [SCRIPT, "def main():\n    return 0\n" + SCRIPT])
def test_a_program_without_main_or_without_its_guard(kind: str, text: str, home: QmailHome) -> None:
    write(home, text)
    with session(kind, home, home.environment(SMTPEXTFORK="preload:bin/checker.py")) as opened:
        begin(opened)
        assert [rcpt(opened, local)[:3] for local in ("bad", "good", "bad")] == [b"554", b"250", b"554"]


@both
@pytest.mark.parametrize(
    "text",
    [
        "import sys\n\ndef main(argv):\n    return 100\n\nif __name__ == '__main__':\n    sys.exit(main(sys.argv))\n",
        "import sys\n\ndef main(*, code):\n    return code\n\n"
        "if __name__ == '__main__':\n    sys.exit(main(code=100))\n",
        "import sys\n\ndef main(argv=()):\n    sys.stdout.close()\n    return 100\n\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n",
    ],
)
def test_a_main_that_wants_arguments_or_closes_its_output(kind: str, text: str, home: QmailHome) -> None:
    write(home, text)
    with session(kind, home, home.environment(SMTPEXTFORK="preload:bin/checker.py")) as opened:
        begin(opened)
        assert rcpt(opened, "joe")[:3] == b"554"


@both
@pytest.mark.parametrize("text", ["def main(:\n", None])
def test_a_file_that_is_no_program(kind: str, text: str | None, home: QmailHome) -> None:
    if text is not None:
        write(home, text)
    env = home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKCODES="1=450", SMTPEXTFORKFAIL="reject")
    with session(kind, home, env) as opened:
        begin(opened)
        assert rcpt(opened, "joe")[:3] == (b"554" if text is None else b"450")
        assert any(("Extfork_Exec" if text is None else "SyntaxError") in line for line in opened.log())


@both
@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("#!/bin/sh\nkill -PIPE $$\n", b"451", "Extfork_Signal"),
        ("#!/bin/sh\ntest $# = 1 && exit 100\n", b"554", "Extfork_100"),
        ("#!/nonexistent/python\nexit 100\n", b"451", "Error::RCPT::Extfork_"),
        (None, b"451", "Error::RCPT::Extfork_Exec"),
    ],
)
def test_what_is_no_python_is_run_all_the_same(
    kind: str, text: str | None, code: bytes, word: str, home: QmailHome
) -> None:
    file = home.path / "bin" / "checker"
    if text is None:
        file.mkdir()
    else:
        file.write_text(text)
        file.chmod(0o755)
    with session(kind, home, home.environment(SMTPEXTFORK="preload:bin/checker one", SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert rcpt(talk, "joe")[:3] == code
        assert any(word in line for line in talk.log())


def waits_in_the_log(talk: Talk) -> int:
    """The process id that a checker has written to it."""
    return wait_for(
        lambda: next((int(line.split()[1]) for line in talk.log() if line.startswith("pid ")), 0), what="the checker"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("kind", ["listener"])
def test_one_that_cannot_be_forked_is_no_harm_to_the_others(kind: str, home: QmailHome) -> None:
    write(home, NUMEROUS)
    env = home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKFAIL="defer")
    with serving(kind, home, env) as opened, opened() as first, opened() as second:
        for talk in (first, second):
            talk.client.reply()
            begin(talk)
        first.client.send(b"RCPT TO:<joe@joedomain.net>\r\n")
        pid = waits_in_the_log(first)
        assert rcpt(second, "joe")[:3] == b"451"
        assert sum("Error::RCPT::Extfork_Exec" in line for line in second.log()) == 1
        os.kill(pid, signal.SIGUSR1)
        assert first.client.reply()[0][:3] == b"554"


@pytest.mark.parametrize("kind", ["listener"])
@pytest.mark.parametrize("limit", range(6, 9))
def test_too_few_descriptors_let_nobody_past(kind: str, limit: int, home: QmailHome) -> None:
    write(home, CHECKER.replace("{number}", "100"))
    fence = home.path / "bin" / "fence"
    fence.write_text(f'#!/bin/sh\nulimit -n {limit}\nexec "$@"\n')
    fence.chmod(0o755)
    env = home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKFAIL="defer", SMTPEXTFORKFENCE="bin/fence")
    with session(kind, home, env) as talk:
        begin(talk)
        for _ in range(2):
            assert rcpt(talk, "number")[:3] in (b"451", b"554")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("kind", ["listener"])
def test_a_home_that_it_may_not_enter_lets_nobody_past(kind: str, home: QmailHome) -> None:
    write(home, "import os\nos.setuid(65534)\n\ndef main():\n    return 100\n")
    home.path.chmod(0o700)
    env = home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKFAIL="defer")
    with session(kind, home, env) as talk:
        begin(talk)
        assert rcpt(talk, "joe")[:3] == b"451"
        assert any("Error::RCPT::Extfork_Signal" in line for line in talk.log())


@pytest.mark.parametrize("kind", ["listener"])
def test_the_process_that_forks_it_dies_before_an_answer(kind: str, home: QmailHome) -> None:
    write(home, "import os, signal\n\ndef main():\n    os.kill(os.getppid(), signal.SIGKILL)\n")
    with session(kind, home, home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert rcpt(talk, "joe")[:3] == b"451"
        assert any("Error::RCPT::Extfork_Exec" in line for line in talk.log())


@both
def test_a_file_that_may_not_be_executed(kind: str, home: QmailHome) -> None:
    write(home, CHECKER.replace("{number}", "100")).chmod(0o644)
    with session(kind, home, home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKFAIL="defer")) as talk:
        begin(talk)
        assert rcpt(talk, "joe")[:3] == b"451"
        assert any("Error::RCPT::Extfork_Exec" in line for line in talk.log())


@pytest.mark.parametrize("kind", ["listener"])
def test_the_process_that_forks_it_dies(talk: Talk, home: QmailHome) -> None:
    assert rcpt(talk, "joe") == b"250 ok"
    found = [
        int(pid)
        for pid in os.listdir("/proc")
        if pid.isdigit() and b"preload.py" in _read(f"/proc/{pid}/cmdline") and str(home.path).encode() in _cwd(pid)
    ]
    for pid in found:
        os.kill(pid, 9)
    wait_for(lambda: rcpt(talk, "number")[:3] == b"554", what="another one")
    assert found
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found), what="its burial")


@pytest.mark.parametrize("kind", ["listener"])
def test_the_process_that_forks_it_ends_with_its_worker(kind: str, home: QmailHome) -> None:
    write(home, "import atexit\natexit.register(open, 'ended', 'w')\n\ndef main():\n    atexit.unregister(open)\n")
    env = home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKFAIL="defer")
    with session(kind, home, env) as talk:
        begin(talk)
        assert rcpt(talk, "joe") == b"250 ok"
        assert not (home.path / "ended").exists()
    assert (home.path / "ended").exists()


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _cwd(pid: str) -> bytes:
    try:
        return os.readlink(f"/proc/{pid}/cwd").encode()
    except OSError:
        return b""


@pytest.mark.parametrize("kind", ["listener"])
def test_no_end_is_missed_however_quickly_they_come(kind: str, home: QmailHome) -> None:
    write(home, "import sys\n\ndef main():\n    return 0\n\nif __name__ == '__main__':\n    sys.exit(main())\n")
    env = home.environment(SMTPEXTFORK="preload:bin/checker.py", SMTPEXTFORKFAIL="defer")
    each = 100
    with serving(kind, home, env) as opened, ExitStack() as stack:
        talks = [stack.enter_context(opened()) for _ in range(5)]
        for talk in talks:
            talk.client.reply()
            begin(talk)
            talk.client.send(b"RCPT TO:<joe@joedomain.net>\r\n" * each)
        for talk in talks:
            assert [talk.client.reply() for _ in range(each)] == [[b"250 ok"]] * each
