"""SMTPEXTFORKFENCE: programs that try to get out of qmailfork-fence's limits, on every driver."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry import OURS
from tests.servers import Driver
from tests.sessions import begin, rcpt, session
from tests.support import PYTHON, ROOT, QmailHome

SOURCE = ROOT / "contrib" / "fence" / "qmailfork-fence.c"
OPENING = b"EHLO foo\r\nMAIL FROM:<a@example.net>\r\n"
REFUSED = b"554 sorry, permanent envelope failure due to local policy\r\n"
DEFERRED = b"451 sorry, temporary envelope failure due to local policy\r\n"
OK = b"250 ok\r\n"
every = pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


@pytest.fixture(scope="module")
def place(fakes: Path) -> Iterator[Path]:
    """A directory that everybody may enter, with the fence, a checker that wants out, and a set-user-id copy of it."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-o", str(path / "fence"), str(SOURCE)], check=True)
    shutil.copy(fakes / "escape", path / "escape")
    shutil.copy(fakes / "escape", path / "setuid")
    (path / "setuid").chmod(0o4755)
    yield path
    shutil.rmtree(path)


def told(driver: Driver, home: QmailHome, fence: str | None, checker: str, **more: str) -> tuple[bytes, list[str]]:
    """The reply to a recipient that the `checker` is asked about, and the session's log."""
    env = home.environment(SMTPEXTFORK=checker, SMTPEXTFORKFENCE=fence, **more)
    with driver.open(home, env) as talk:
        talk.client.send(OPENING)
        for _ in range(3):
            talk.client.reply()
        talk.client.send(b"RCPT TO:<joe@joedomain.net>\r\n")
        reply = b"".join(line + b"\r\n" for line in talk.client.reply())
        return reply, talk.log()


@every
@pytest.mark.parametrize(
    ("limits", "how"),
    [
        ("-a 100m", "memory"),
        ("-o 20", "files"),
        ("-f 2m", "grow"),
        pytest.param("-u nobody -o 20", "raised", marks=as_root),  # root may lift its limits
        pytest.param("-u nobody -p 10", "processes", marks=as_root),
        pytest.param("-u nobody", "root", marks=as_root),
        pytest.param("-u nobody:daemon", "parent", marks=as_root),
        pytest.param("-u nobody -n", "privilege {}/setuid", marks=as_root),
    ],
)  # fmt: skip
def test_what_is_fenced_in_stays_in(driver: Driver, limits: str, how: str, home: QmailHome, place: Path) -> None:
    fence, checker = f"{place}/fence {limits}", f"{place}/escape {how.format(place)}"
    # Each is shown to get out where only its own limit is missing.
    gap = f"{place}/fence -u nobody" if "privilege" in how else None
    assert told(driver, home, gap, checker)[0] == REFUSED
    assert told(driver, home, fence, checker)[0] == OK


@every
def test_one_that_burns_the_processor_is_killed(driver: Driver, home: QmailHome, place: Path) -> None:
    reply, log = told(driver, home, f"{place}/fence -c 1", f"{place}/escape cpu", SMTPEXTFORKFAIL="defer")
    assert reply == DEFERRED
    assert any("Error::RCPT::Extfork_Signal" in line and f"'{place}/escape'" in line for line in log), log


@every
@pytest.mark.parametrize(
    ("fence", "reason"),
    [
        ("{}/fence -a lots", "-a lots: not a number"),
        ("{}/fence -u no-such-user", "-u no-such-user: no such user"),
        ("{}/fence -o 20", "{}/absent: No such file or directory"),
        ("{}/fence -z", "usage: "),
    ],
)
def test_a_fence_that_cannot_stand_lets_nobody_pass(
    driver: Driver, fence: str, reason: str, home: QmailHome, place: Path
) -> None:
    reply, log = told(driver, home, fence.format(place), f"{place}/absent", SMTPEXTFORKFAIL="defer")
    assert reply == DEFERRED
    assert any(reason.format(place) in line for line in log), log


@every
def test_a_fence_that_is_not_there(driver: Driver, home: QmailHome, place: Path) -> None:
    reply, log = told(driver, home, f"{place}/no-fence", f"{place}/escape", SMTPEXTFORKFAIL="reject")
    assert reply == REFUSED
    assert any("Error::RCPT::Extfork_Exec" in line and f"'{place}/no-fence'" in line for line in log), log
    assert any("Reject::RCPT::Extfork_Exec" in line and f"'{place}/escape'" in line for line in log), log


@every
def test_it_holds_a_preloaded_checker_too(driver: Driver, home: QmailHome, place: Path) -> None:
    checker = place / f"{driver.name}.py"
    checker.write_text(
        f"#!{PYTHON[0]}\nimport resource, sys\n\ndef main():\n"
        "    return 100 if resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 30 else 0\n\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n"
    )
    checker.chmod(0o755)
    assert told(driver, home, None, f"preload:{checker}")[0] == REFUSED
    assert told(driver, home, f"{place}/fence -o 30", f"preload:{checker}")[0] == OK


def test_a_preloaded_checker_is_imported_anew_before_its_processor_time_is_over(home: QmailHome, place: Path) -> None:
    checker = place / "costly.py"
    checker.write_text(
        f"#!{PYTHON[0]}\nimport sys, time\n\nwhile time.process_time() < 1.1:\n    pass\n"
        "open('imports', 'a').write('x')\n\ndef main():\n    return 100\n\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n"
    )
    checker.chmod(0o755)
    env = home.environment(SMTPEXTFORK=f"preload:{checker}", SMTPEXTFORKFENCE=f"{place}/fence -c 2")
    with session("listener", home, env) as talk:
        begin(talk)
        assert [rcpt(talk, "joe")[:3] for _ in range(3)] == [b"554"] * 3
    assert (home.path / "imports").read_text() == "xxx"
