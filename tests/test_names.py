"""MFDNSCHECK and HELOCHECK=A, =M in every driver, with a real name server where resolvers look for one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from qmailfork.system import names
from tests.listeners import Listeners
from tests.privatenetwork import dns, in_private
from tests.servers import Talk, reference_there, stdio, wrapper
from tests.smtpclient import Client
from tests.support import QmailHome, qmailfork, run_session, smtpd, wait_for

Open = Callable[[QmailHome, dict[str, str]], AbstractContextManager[Talk]]
DRIVERS = ("stdio", "listener", "handoff", *(("wrapper", "wrapping-listener") if reference_there() else ()))
ZONE = {
    "good.example": [("MX", (10, "mx.good.example"))],
    "address.example": [("A", "192.0.2.1")],
    "six.example": [("AAAA", "2001:db8::1")],
    "alias.example": [("CNAME", "address.example"), ("A", "192.0.2.1")],
    "null.example": [("MX", (0, "."))],
    "text.example": [("TXT", b"no mail here")],
    "xn--bcher-kva.example": [("MX", (10, "mx.good.example"))],
    "broken.example": [("SERVFAIL", "")],
    "mute.example": [("SILENT", "")],
}
ACCEPTED, LATER = "250 ok", "451 DNS temporary failure (#4.3.0)"
NO_SENDER = "553 sorry, your envelope sender must exist"
NO_NAME = "550 sorry, invalid HELO/EHLO greeting (#5.7.1)"
RCPT = "RCPT TO:<joe@joedomain.net>"


@contextmanager
def opened(driver: str) -> Iterator[Open]:
    """This driver, in the test's own network."""
    with closing(Listeners(wraps=driver == "wrapping-listener")) as listeners:
        cold = {"stdio": stdio, "wrapper": wrapper, "handoff": listeners.hand_over}
        yield cold.get(driver, listeners.open)


@pytest.fixture
def home(tmp_path: Path, fakes: Path) -> QmailHome:
    """A home beside whose parent the listeners of this test have room."""
    home = QmailHome(tmp_path / "here" / "home", fakes)
    home.control(badmailfrom="?nobody@nowhere.example\n")
    return home


def said(client: Client, sender: str) -> str:
    """The reply to a recipient after this sender."""
    client.command(f"MAIL FROM:<{sender}>".encode())
    return client.command(RCPT)[0].decode()


@pytest.mark.parametrize("driver", DRIVERS)
@in_private
def test_senders(driver: str, home: QmailHome) -> None:
    env = home.environment(MFDNSCHECK="", REPLY_SENDEREXIST="really")
    with dns(home.path, ZONE) as nameserver, opened(driver) as open_session, open_session(home, env) as talk:
        talk.client.read_line()
        for domain in ("good", "GOOD", "address", "six", "alias", "bücher"):
            assert said(talk.client, f"a@{domain}.example") == ACCEPTED, domain
        for domain in ("null.example", "text.example", "nowhere.example", "a..b", "x" * 64 + ".example", "[1.2"):
            assert said(talk.client, f"a@{domain}") == f"{NO_SENDER} really (#5.7.1)", domain
        for sender in ("", "a@[192.0.2.7]", "a@[IPv6:2001:db8::1]", "nobody@nowhere.example"):
            assert said(talk.client, sender) == ACCEPTED, sender
        assert said(talk.client, "joe") == f"{NO_SENDER} really (#5.7.1)"
        assert said(talk.client, "a@broken.example") == LATER
        asked = len(nameserver.asked)
        assert said(talk.client, "b@nowhere.example").startswith(NO_SENDER)
        assert len(nameserver.asked) == asked  # it is known already
        log = [line.split()[3] for line in talk.log() if "Reject::" in line]
    assert set(log) == {"Reject::ORIG::DNS_MF", "Reject::ORIG::DNS_MF_Temp"}


@pytest.mark.parametrize("driver", DRIVERS)
@in_private
def test_relay_clients_are_not_asked_about(driver: str, home: QmailHome) -> None:
    env = home.environment(MFDNSCHECK="", HELOCHECK="A", RELAYCLIENT="")
    with dns(home.path, ZONE) as nameserver, opened(driver) as open_session, open_session(home, env) as talk:
        talk.client.read_line()
        talk.client.command("HELO nowhere.example")
        assert said(talk.client, "a@nowhere.example") == ACCEPTED
    assert nameserver.asked == []


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("word", "names_and_replies"),
    [
        ("A", {"address.example": ACCEPTED, "[192.0.2.7]": ACCEPTED, "good.example": NO_NAME, "broken.example": LATER}),
        ("M", {"address.example": ACCEPTED, "good.example": ACCEPTED, "nowhere.example": NO_NAME, "": NO_NAME}),
    ],
)
@in_private
def test_what_a_client_calls_itself(driver: str, word: str, names_and_replies: dict[str, str], home: QmailHome) -> None:
    with (
        dns(home.path, ZONE),
        opened(driver) as open_session,
        open_session(home, home.environment(HELOCHECK=word)) as talk,
    ):
        talk.client.read_line()
        for name, reply in names_and_replies.items():
            talk.client.command(f"HELO {name}".encode())
            assert said(talk.client, "a@example.net") == reply, name
        refused = [line for line in talk.log() if "Reject::" in line]
    assert all("Reject::SNDR::DNS_Helo" in line and line.endswith(f"'{word}'") for line in refused), refused
    assert len(refused) == 2


@pytest.mark.parametrize("driver", DRIVERS)
@in_private
def test_a_look_up_holds_up_nobody_else(driver: str, home: QmailHome) -> None:
    env = home.environment(MFDNSCHECK="")
    with dns(home.path, ZONE) as nameserver, opened(driver) as open_session, open_session(home, env) as waits:
        waits.client.read_line()
        waits.client.send(b"MAIL FROM:<a@mute.example>\r\n" + RCPT.encode() + b"\r\n")
        wait_for(lambda: ("mute.example", "MX") in nameserver.asked, what="the question")
        with open_session(home, home.environment()) as other:
            other.client.read_line()
            assert said(other.client, "a@good.example") == ACCEPTED


@in_private
def test_without_an_answer_nothing_is_known(tmp_path: Path) -> None:
    with dns(tmp_path, ZONE):
        assert names.look_up(b"mute.example", ("MX",), 0.2) is None


@in_private
def test_explain_asks_dns_and_tells_what_it_means(home: QmailHome) -> None:
    env = home.environment(PATH=os.environ["PATH"], MFDNSCHECK="", GREETDELAY="60")
    for sender, decides in (("a@nowhere.example", "MFDNSCHECK"), ("a@good.example", "")):
        words = ["--ip", "203.0.113.7", "--from", sender, "--to", "joe@joedomain.net"]
        with dns(home.path, ZONE):
            argv = qmailfork("explain", "--dry", *words)
            done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == (1 if decides else 0), done
        assert decides in done.stdout
        assert "the client waits for 60 s" in done.stdout


def test_a_host_without_the_library(home: QmailHome, tmp_path: Path) -> None:
    """The session ends with 421, and the log says what is missing."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    argv = [str(tmp_path / "bare" / "bin" / "python"), *smtpd()[1:]]
    said = b"MAIL FROM:<a@good.example>\r\n" + RCPT.encode() + b"\r\n"
    session = run_session(argv, home.environment(MFDNSCHECK=""), said)
    assert session.output.splitlines()[-1] == b"421 unable to read controls (#4.3.0)"
    assert "Error::SNDR::Controls" in session.log[0]
    assert "dns.resolver?is?not?installed" in session.log[0]
