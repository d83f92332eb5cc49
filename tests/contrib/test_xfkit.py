"""The checkers' kit, through a small checker of its own in all its forms."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.checkerforms import BARE, CHECKERS, answer, ask, forked, preloaded, resident

SAMPLE = pathlib.Path(__file__).resolve().parent.parent / "fakes" / "sample-checker"
KIT = "".join(path.read_text() for path in (CHECKERS.parent / "xfkit").glob("*.py"))
CLIENT = {
    "client_address": "2001:db8::1",
    "client_name": "mx.example",
    "helo_name": "helo.example",
    "sender": "s@example",
}


def rcpt(word, **more):
    return {"REMOTERCPT": f"{word}@example", **more}


@pytest.mark.parametrize(
    ("word", "code", "output"),
    [
        ("yes", 0, ""),
        ("no", 100, "- - - - -\n"),
        ("later", 101, ""),
        ("headers", 0, "Header: X-One: 1\nHeader: X-Two: 2\n"),
    ],
)
def test_a_forked_checker_exits_with_its_verdict_and_prints_its_words(word, code, output):
    done = forked(SAMPLE, rcpt(word))
    assert (done.returncode, done.stdout, done.stderr) == (code, output, "")


def test_a_reply_is_one_bounded_line_of_printable_ascii():
    printed = forked(SAMPLE, rcpt("nasty")).stdout
    assert printed.startswith("a??250 b???x")
    assert printed.endswith("x...\n")
    assert len(printed) == 401


def test_an_exception_is_one_log_line_and_defers():
    done = forked(SAMPLE, rcpt("boom"))
    assert (done.returncode, done.stdout) == (101, "")
    assert re.fullmatch(r"sample: pid \d+ internal error: LookupError: line one\?line two\n", done.stderr)


def test_a_check_that_returns_no_verdict_is_one_log_line_and_defers():
    done = forked(SAMPLE, rcpt("nothing"))
    assert (done.returncode, done.stdout) == (101, "")
    assert re.fullmatch(r"sample: pid \d+ internal error: TypeError: check returns no Verdict\n", done.stderr)


def test_an_exception_passes_where_the_site_wants_it():
    assert forked(SAMPLE, rcpt("boom", XF_ONERROR="pass")).returncode == 0


@pytest.mark.parametrize(("value", "taken"), [("", 7), ("1", 1), ("99", 99)])
def test_a_number_is_taken_from_the_environment(value, taken):
    done = forked(SAMPLE, rcpt("number", N=value))
    assert (done.stdout, done.stderr) == (f"{taken}\n", "")


@pytest.mark.parametrize("value", ["0", "100", "-1", "x\ny", "1.5", "٣", "9" * 50])
def test_a_wrong_number_is_the_default_and_a_line_that_names_it(value):
    done = forked(SAMPLE, rcpt("number", N=value))
    assert done.stdout == "7\n"
    assert re.fullmatch(r"sample: pid \d+ N=\S+ is not a number from 1 to 99, taking 7\n", done.stderr)


def test_octets_that_are_no_text_do_no_harm():
    environment = {
        **{k.encode(): v.encode() for k, v in BARE.items()},
        b"REMOTERCPT": b"no@\xff",
        b"REMOTEMF": b"\xc3\xa9\xff",
    }
    done = subprocess.run([sys.executable, SAMPLE], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (100, b"- - - ?? -\n")


@pytest.mark.parametrize("descriptors", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
@pytest.mark.parametrize(("word", "code"), [("yes", 0), ("no", 100), ("boom", 101), ("headers", 0)])
def test_closed_and_full_descriptors_leave_the_exit_code(descriptors, word, code):
    command = f'exec "$0" "$1" {descriptors}'
    done = subprocess.run(["bash", "-c", command, sys.executable, SAMPLE], env={**BARE, **rcpt(word)}, check=False)
    assert done.returncode == code


def test_help_is_the_manual():
    done = forked(SAMPLE, {}, "--help")
    assert done.returncode == 0
    assert done.stdout == "sample-checker: says what REMOTERCPT asks for.\n\nusage: sample-checker\n"


PRINTING = [("softfail", "--help"), ("softfail", "list"), ("softfail", "report"), ("softfail", "expire"),
            ("dnsbl", "--help"), ("dnsbl", "--check"), ("vchkuser", "--help"), ("xf-spf", "--help")]  # fmt: skip


def printed(name, word, directory, stdout=subprocess.PIPE, redirection=""):
    env = {**BARE, "SOFTFAIL_STORE": f"sqlite:{directory}/db", "DNSBL": "bl.test", "XF_NAMESERVER": "127.0.0.1:1"}
    listed = "allow sender a@x.org\n"
    done = subprocess.run([sys.executable, CHECKERS / "softfail", "import"], input=listed, text=True, env=env,
                          capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0
    return subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, CHECKERS / name, word],
                          env=env, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip


@pytest.mark.parametrize(("name", "word"), PRINTING)
def test_what_a_full_disk_does_not_take_is_one_line(name, word, tmp_path):
    with open("/dev/full", "wb") as full:
        done = printed(name, word, tmp_path, stdout=full)
    assert (done.returncode, done.stderr) == (111, f"{name}: standard output: No space left on device\n")


@pytest.mark.parametrize(("name", "word"), PRINTING)
def test_without_standard_output_only_the_output_is_missing(name, word, tmp_path):
    done = printed(name, word, tmp_path, redirection=">&-")
    assert (done.returncode, done.stderr) == (1 if word == "--check" else 0, "")


@pytest.mark.parametrize(("name", "word"), PRINTING)
def test_a_reader_that_has_left_is_no_error(name, word, tmp_path):
    source, sink = os.pipe()
    os.close(source)
    with open(sink, "wb") as pipe:
        done = printed(name, word, tmp_path, stdout=pipe)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")


@pytest.mark.parametrize("name", ["dnsbl", "softfail", "template", "vchkuser", "xf-spf"])
def test_help_is_for_any_locale(name):
    done = forked(name, {"PYTHONIOENCODING": "latin-1"}, "--help")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["--policy"],
        ["--policy", "tcp:25"],
        ["--policy", "inet:host"],
        ["--policy", "inet:h:70000"],
        ["x\ny"],
        ["--"],
    ],
)
def test_wrong_arguments_are_one_line_and_no_verdict(arguments):
    done = forked(SAMPLE, rcpt("no"), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"sample: .*--help shows the manual\n", done.stderr)


def test_an_address_that_cannot_be_listened_on_is_one_line(tmp_path):
    done = forked(SAMPLE, {}, "--policy", f"unix:{tmp_path}/none/s")
    assert done.returncode == 111
    assert re.fullmatch(r"sample: pid \d+ cannot listen on unix:\S+: No such file or directory\n", done.stderr)


def test_imported_once_it_answers_for_each_environment():
    with preloaded(SAMPLE) as checker:
        done = [checker.run(rcpt(word)) for word in ("yes", "no", "boom", "later", "yes")]
    assert [each.returncode for each in done] == [0, 100, 101, 101, 0]
    assert [each.stderr.count("\n") for each in done] == [0, 0, 1, 0, 0]
    assert done[1].stdout == "- - - - -\n"


@pytest.fixture(scope="module")
def server():
    with resident(SAMPLE, {"BENEATH": "mine", "TCPREMOTEHOST": "stale", "REMOTEMF": "stale"}) as running:
        yield running


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("yes", "DUNNO"),
        ("no", "554 5.7.1 2001:db8::1 mx.example helo.example s@example mine"),
        ("later", "450 4.7.1 sorry, temporary envelope failure due to local policy"),
        ("headers", "PREPEND X-One: 1"),
        ("boom", "450 4.7.1 sorry, temporary envelope failure due to local policy"),
        ("nothing", "450 4.7.1 sorry, temporary envelope failure due to local policy"),
    ],
)
def test_a_policy_request_is_answered(server, word, action):
    assert server.ask(recipient=f"{word}@example", **CLIENT) == action


def test_what_postfix_does_not_know_is_not_there(server):
    request = {"recipient": "no@example", "client_address": "192.0.2.1", "client_name": "unknown", "sender": ""}
    assert server.ask(**request) == "554 5.7.1 192.0.2.1 -   mine"


def test_a_policy_reply_is_one_line(server):
    action = server.ask(recipient="nasty@example")
    assert action.startswith("554 5.7.1 a??250 b???x")
    assert len(action) == len("554 5.7.1 ") + 400


def test_a_connection_carries_many_requests_and_many_are_open_at_once(server):
    connections = [server.connect() for _ in range(50)]
    for _ in range(3):
        for number, connection in enumerate(connections):
            word = "no" if number % 2 else "yes"
            assert ask(connection, recipient=f"{word}@example")[:5] == ("554 5" if number % 2 else "DUNNO")
    for connection in connections:
        connection.close()


def test_requests_in_one_packet_are_answered_in_turn(server):
    requests = "".join(f"request=smtpd_access_policy\nrecipient={word}@x\n\n" for word in ("yes", "later", "headers"))
    with server.connect() as connection:
        connection.sendall(requests.encode())
        connection.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: connection.recv(4096), b"")).count(b"action=") == 3


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (b"\n", "a request that is not smtpd_access_policy"),
        (b"request=junk\n\n", "a request that is not smtpd_access_policy"),
        (b"nonsense\n\n", "a line that is no name=value"),
        (b"=value\n\n", "a line that is no name=value"),
        (b"request=smtpd_access_policy\nsender=a\0b\n\n", "a line that is no name=value"),
        (b"sender=" + b"x" * 9000 + b"\n\n", "a line too long or cut off"),
        (b"".join(b"a%d=%s\n" % (n, b"x" * 1000) for n in range(100)), "a request too long"),
        (b"request=smtpd_access_policy\n", "an end in the middle of a request"),
    ],
)
def test_a_malformed_request_ends_the_connection_with_a_line(sent, complaint, tmp_path):
    with resident(SAMPLE, {}, f"unix:{tmp_path}/s") as running:
        with running.connect() as connection:
            with contextlib.suppress(OSError):  # closed in the middle of it
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
            assert answer(connection) == ""
        assert running.ask(recipient="yes@x") == "DUNNO"
    assert re.fullmatch(rf"sample: pid \d+ connection closed: {re.escape(complaint)}\n", running.log)


def test_a_stale_socket_is_replaced_and_the_own_removed(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with resident(SAMPLE, {}, f"unix:{path}") as running:
        assert running.ask(recipient="yes@x") == "DUNNO"
    assert not path.exists()


@pytest.mark.parametrize("kind", ["served", "file"])
def test_what_is_in_use_or_no_socket_stays(kind, tmp_path):
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("precious")
        assert forked(SAMPLE, {}, "--policy", f"unix:{path}").returncode == 111
        assert path.read_text() == "precious"
        return
    with resident(SAMPLE, {}, f"unix:{path}") as running:
        assert forked(SAMPLE, {}, "--policy", f"unix:{path}").returncode == 111
        assert running.ask(recipient="yes@x") == "DUNNO"


def test_it_listens_on_ipv6():
    with resident(SAMPLE, {}, "inet:[::1]:0") as running:
        assert running.address.startswith("inet:[::1]:")
        assert running.ask(recipient="yes@x") == "DUNNO"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_though_a_client_stays(end, tmp_path):
    with resident(SAMPLE, {}, f"unix:{tmp_path}/s") as running, running.connect() as connection:
        assert ask(connection, recipient="yes@x") == "DUNNO"
        running.process.send_signal(end)
        assert answer(connection) == ""
        assert running.process.wait() == 0


def test_the_manual_s_example_is_a_checker(tmp_path):
    manual = (SAMPLE.parents[2] / "man" / "xfkit.7").read_text()
    example = next(block for block in manual.split(".Bd -literal\n") if block.startswith("#!")).partition(".Ed")[0]
    program = tmp_path / "bad-tld"
    program.write_text(example)
    refused = forked(program, {"PYTHONPATH": str(CHECKERS.parent), "BADTLD": "bad, worse", "REMOTEMF": "x@a.Worse"})
    assert (refused.returncode, refused.stdout, refused.stderr) == (100, "no mail from .worse\n", "")
    assert forked(program, {"PYTHONPATH": str(CHECKERS.parent), "BADTLD": "bad", "REMOTEMF": ""}).returncode == 0


@pytest.mark.parametrize("name", ["dnsbl", "xf-spf"])
def test_a_checker_s_two_manuals_name_the_same_variables(name):
    manual = (CHECKERS.parents[1] / "man" / f"{name}.8").read_text()
    described = set(re.findall(r"^\.It Ev (\w+)$", manual, re.MULTILINE))
    text = (CHECKERS / name).read_text()
    head = text.split('"""')[1]
    assert described == set(re.findall(r"^  ((?:DNS|RHS|SPF|XF_)\w+)", head, re.MULTILINE)) | (
        {"SPFBEHAVIOR"} if name == "xf-spf" else set()
    )
    assert all(re.search(rf'"{variable}"', text + KIT) for variable in described)
