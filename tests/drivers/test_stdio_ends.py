"""However a session ends: SIGTERM or SIGINT at every stage, a client that vanishes at any octet, a log that is gone."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.drivers.session import HELO, MAIL, RCPT
from tests.faults import processes
from tests.servers import Talk, stdio
from tests.support import QmailHome, alive, run_session, smtpd, wait_for

TO_DATA = [HELO, MAIL, RCPT, "DATA"]
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
SESSION = b"".join(line.encode() + b"\r\n" for line in TO_DATA) + MESSAGE + b".\r\nQUIT\r\n"
ACCEPTED = SESSION.index(b"QUIT")  # after so many octets the message is whole


@contextmanager
def talking(home: QmailHome, *commands: str, **environment: str) -> Iterator[Talk]:
    """An open session in which these commands were answered."""
    with stdio(home, home.environment(**environment)) as talk:
        talk.client.reply()
        for command in commands:
            assert talk.client.command(command)[0][:1] in (b"2", b"3")
        yield talk


def terminate(talk: Talk, number: int = signal.SIGTERM) -> int:
    """Send the signal: the exit status; what else the client hears is nothing."""
    assert talk.process is not None
    talk.process.send_signal(number)
    assert talk.client.rest() == b""
    return talk.process.wait(30)


def pid_in(file: Path) -> int:
    wait_for(file.exists, what=str(file))
    return int(file.read_text().split()[0])


def nothing_is_left(home: QmailHome, talk: Talk) -> None:
    """No message, no draft, no traceback."""
    wait_for(lambda: not home.drafts(), what="the queue to drop what is not complete")
    assert home.messages() == []
    assert not any("Traceback" in line for line in talk.log())


BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


class TestSigterm:
    @BOTH
    @pytest.mark.parametrize("said", range(len(TO_DATA) + 1))
    def test_between_two_commands(self, home: QmailHome, said: int, number: int) -> None:
        with talking(home, *TO_DATA[:said]) as talk:
            assert terminate(talk, number) == 1
            nothing_is_left(home, talk)

    def test_sigint_that_is_ignored_stays_so(self, home: QmailHome) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with talking(home, HELO) as talk:
                assert talk.process is not None
                talk.process.send_signal(signal.SIGINT)
                assert talk.client.command("QUIT")[0].startswith(b"221 ")
        finally:
            signal.signal(signal.SIGINT, before)

    @pytest.mark.parametrize("octets", [0, 5, len(MESSAGE), 1_000_000])
    def test_in_the_message(self, home: QmailHome, octets: int) -> None:
        with talking(home, *TO_DATA) as talk:
            talk.client.send((MESSAGE * (octets // len(MESSAGE) + 1))[:octets])
            assert terminate(talk) == 1
            nothing_is_left(home, talk)

    @BOTH
    def test_while_a_checker_runs_it_ends_with_its_group(self, home: QmailHome, number: int) -> None:
        with talking(home, HELO, MAIL, SMTPEXTFORK="fakes/stubborn pids") as talk:
            talk.client.send(RCPT.encode() + b"\r\n")
            pid_in(home.path / "pids")
            assert terminate(talk, number) == 1
            nothing_is_left(home, talk)
        for pid in (home.path / "pids").read_text().split():
            wait_for(lambda pid=pid: not alive(int(pid)), what="the group's end")  # type: ignore[misc]

    @pytest.mark.parametrize("quarters", range(8))
    def test_while_a_checker_is_started_it_ends_too(self, home: QmailHome, quarters: int) -> None:
        for tenth in range(0, 10, 2):
            with talking(home, HELO, MAIL, SMTPEXTFORK="/bin/sleep 60") as talk:
                talk.client.send(RCPT.encode() + b"\r\n")
                time.sleep((quarters + tenth / 10) / 4000)  # the window is the first milliseconds
                assert terminate(talk) == 1
            wait_for(lambda: not processes.of_home(home.path), seconds=5, what="the checker's end")

    @pytest.mark.parametrize("descriptors", [1, 2])  # the client's; a checker's output and its end
    def test_right_before_a_wait(self, home: QmailHome, late_signal: Path, descriptors: int) -> None:
        env = {"LD_PRELOAD": str(late_signal), "LATE_SIGNAL": str(descriptors)}
        with talking(home, SMTPEXTFORK="/bin/sleep 60", **env) as talk:
            talk.client.send(f"{HELO}\r\n{MAIL}\r\n{RCPT}\r\n".encode() if descriptors == 2 else b"")
            assert talk.process is not None
            assert talk.process.wait(30) == 1
        wait_for(lambda: not processes.of_home(home.path), seconds=5, what="the checker's end")

    def test_while_the_queue_does_not_take_the_message(self, home: QmailHome) -> None:
        home.queue("queue-hang")
        with talking(home, *TO_DATA) as talk:
            queue = pid_in(home.stored / ".pid")
            talk.client.send(b"x" * 150_000)  # more than a pipe takes
            assert terminate(talk) == 1
            nothing_is_left(home, talk)
            os.kill(queue, signal.SIGKILL)

    def test_while_an_abandoned_queue_clears_up(self, home: QmailHome) -> None:
        home.queue("queue-hang")
        home.control(databytes="5")
        with talking(home, *TO_DATA) as talk:
            queue = pid_in(home.stored / ".pid")
            talk.client.send(MESSAGE + b".\r\n")
            assert terminate(talk) == 1
            nothing_is_left(home, talk)
            if alive(queue):  # the signal was there before the message was
                os.kill(queue, signal.SIGKILL)

    @BOTH
    def test_between_envelope_and_reply_it_is_held_back(self, home: QmailHome, number: int) -> None:
        home.queue("queue-held")
        with talking(home, *TO_DATA) as talk:
            assert talk.process is not None
            talk.client.send(MESSAGE + b".\r\n")
            pid_in(home.stored / ".pid")
            talk.process.send_signal(number)
            wait_for(lambda: pending(talk.process.pid, number), what="the signal to be held back")  # type: ignore[union-attr]
            (home.stored / ".go").touch()
            assert talk.client.reply()[0].startswith(b"250 ok ")
            assert talk.client.rest() == b""
            assert talk.status() == 1
        assert len(home.messages()) == 1

    def test_after_the_reply(self, home: QmailHome) -> None:
        with talking(home, *TO_DATA) as talk:
            talk.client.send(MESSAGE + b".\r\n")
            assert talk.client.reply()[0].startswith(b"250 ok ")
            assert terminate(talk) == 1
        assert len(home.messages()) == 1

    @pytest.mark.parametrize("ending", [b"", b"QUIT\r\n"])
    def test_while_a_client_does_not_read_its_replies(self, home: QmailHome, ending: bytes) -> None:
        with talking(home) as talk:
            assert talk.process is not None
            talk.client.socket.settimeout(1)
            try:
                while True:
                    talk.client.socket.sendall(b"HELP\r\n" * 600 + ending)
            except TimeoutError:
                pass
            talk.process.terminate()
            assert talk.process.wait(30) == 1
            nothing_is_left(home, talk)

    def test_at_any_moment_what_was_acknowledged_is_queued_and_nothing_else(self, home: QmailHome) -> None:
        chance = random.Random(3)
        acknowledged = 0
        for _ in range(40):
            with stdio(home, home.environment()) as talk:
                assert talk.process is not None
                talk.client.reply()
                talk.client.send(SESSION.removesuffix(b"QUIT\r\n") * 3)
                time.sleep(chance.random() * 0.02)
                talk.process.terminate()
                acknowledged += talk.client.rest().count(b" qp ")
                assert talk.status() == 1
                assert talk.log() == [line for line in talk.log() if "Rcpthosts_Rcptto" in line]
        wait_for(lambda: not home.drafts(), what="the queue to drop what is not complete")
        assert len(home.messages()) == acknowledged


def pending(pid: int, number: int) -> bool:
    """Whether this signal waits for the process (Linux tells; elsewhere it is taken to)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return True
    masks = dict(line.split(":\t") for line in status.read_text().splitlines() if line.startswith(("ShdPnd", "SigPnd")))
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks.values())


class TestAClientThatVanishes:
    def test_from_a_queue_that_does_not_end(self, home: QmailHome) -> None:
        """After a few seconds it is killed: no session waits for ever for what nobody wants any more."""
        home.queue("queue-hang")
        with talking(home, *TO_DATA) as talk:
            queue = pid_in(home.stored / ".pid")
            talk.client.close()
            assert talk.process is not None
            assert talk.process.wait(30) == 1
            assert not alive(queue)
            nothing_is_left(home, talk)

    @pytest.mark.parametrize("octets", sorted({*range(0, len(SESSION) + 1, 11), ACCEPTED - 1, ACCEPTED, len(SESSION)}))
    def test_having_said_so_much(self, home: QmailHome, octets: int) -> None:
        """It shuts its side down: nothing is queued unless its message was whole."""
        with stdio(home, home.environment()) as talk:
            talk.client.send(SESSION[:octets])
            talk.client.half_close()
            said = talk.client.rest()
            assert talk.status() == (0 if octets == len(SESSION) else 1)
            wait_for(lambda: not home.drafts(), what="the queue to drop what is not complete")
            assert len(home.messages()) == said.count(b" qp ") == (1 if octets >= ACCEPTED else 0)
            assert not any("Traceback" in line for line in talk.log())

    @pytest.mark.parametrize("octets", range(0, len(SESSION), 17))
    def test_without_reading_what_is_said_to_it(self, home: QmailHome, octets: int) -> None:
        with stdio(home, home.environment()) as talk:
            talk.client.send(SESSION[:octets])
            talk.client.close()
            assert talk.process is not None
            assert talk.process.wait(30) == 1
            wait_for(lambda: not home.drafts(), what="the queue to drop what is not complete")
            assert len(home.messages()) <= (1 if octets >= ACCEPTED else 0)
            assert not any("Traceback" in line for line in talk.log())

    def test_while_its_checker_runs(self, home: QmailHome) -> None:
        with talking(home, HELO, MAIL, SMTPEXTFORK="fakes/stubborn pids", SMTPEXTFORKTIMEOUT="1") as talk:
            talk.client.send(RCPT.encode() + b"\r\n")
            pid_in(home.path / "pids")
            talk.client.close()
            assert talk.process is not None
            assert talk.process.wait(30) == 1
            nothing_is_left(home, talk)

    def test_while_the_queue_works_on_its_message(self, home: QmailHome) -> None:
        """It was accepted: the client will send it again, for it never heard so. Nothing is lost."""
        home.queue("queue-held")
        with talking(home, *TO_DATA) as talk:
            talk.client.send(MESSAGE + b".\r\n")
            pid_in(home.stored / ".pid")
            talk.client.close()
            (home.stored / ".go").touch()
            assert talk.process is not None
            assert talk.process.wait(30) == 1
        assert len(home.messages()) == 1


@pytest.mark.parametrize("closed", ["a pipe without reader", "no descriptor"])
def test_a_log_that_is_gone_does_not_stop_the_mail(home: QmailHome, closed: str) -> None:
    end, log = os.pipe()
    os.close(end)
    argv = stdio_argv(without_log=closed == "no descriptor")
    env = home.environment(
        SMTPEXTFORK="fakes/match joe@joedomain.net 0", SMTPEXTFORKFAIL="reject", SMTPEXTFORKTIMEOUT="x"
    )
    done = subprocess.run(argv, env=env, input=SESSION, stdout=subprocess.PIPE, stderr=log, check=False, timeout=60)
    os.close(log)
    assert done.returncode == 0
    assert [line[:3] for line in done.stdout.splitlines()] == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    assert len(home.messages()) == 1


def stdio_argv(without_log: bool) -> list[str]:
    return ["sh", "-c", 'exec "$@" 2>&-', "sh", *smtpd()] if without_log else smtpd()


@pytest.mark.parametrize("limit", range(5, 19))
def test_with_few_descriptors_it_says_what_it_cannot_do(home: QmailHome, limit: int) -> None:
    argv = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *smtpd()]
    done = run_session(argv, home.environment(SMTPEXTFORK="fakes/exit 0", SMTPEXTFORKFAIL="defer"), SESSION)
    assert done.output.startswith((b"421 unable to read controls (#4.3.0)\r\n", b"220 "))
    assert all(line.startswith("qmail-smtpd: pid ") for line in done.log)
    queued = done.output.count(b" qp ")
    assert len(home.messages()) == queued
    assert any("Too?many?open?files" in line or "Extfork_Exec" in line for line in done.log) == (queued == 0)


def test_sigterm_while_a_client_waits_behind_its_message(home: QmailHome) -> None:
    message = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<joe@joedomain.net>\r\nDATA\r\nx\r\n.\r\n"
    with talking(home, TARPITCOUNT="2", TARPITDELAY="900") as talk:
        talk.client.send(message + b"MAIL FROM:<a@example.net>\r\n" + b"RCPT TO:<joe@joedomain.net>\r\n" * 2)
        for _ in range(6):
            assert talk.client.reply()[0][:1] in (b"2", b"3")
        assert terminate(talk) == 1
    assert len(home.messages()) == 1
