"""`qmailfork check DIRECTORY`: services that we wrote, and services as others have written them."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.supervisors import open_directory
from tests.support import PATIENCE, ROOT, QmailHome, build_handoff, qmailfork

ROOTS = os.getuid() == 0
PROGRAMS = Path(sys.executable).parent
CLASSIC = """#!/bin/sh
QMAILDUID=`id -u root`
NOFILESGID=`id -g root`
export QMAILHOME={home}
export PATH={programs}:/usr/local/bin:/usr/bin:/bin
exec envdir ./env /usr/bin/softlimit -m {memory} \\
  tcpserver -v -R -l 0 -x tcp.smtp.cdb -c 20 \\
  -u "$QMAILDUID" -g "$NOFILESGID" 0 smtp qmailfork-smtpd 2>&1
"""


class Checked:
    """A service directory and what check says of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = qmailfork("check", str(self.directory), *words)
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def found(self, *words: str) -> list[dict[str, str]]:
        done = self.call("--json", *words)
        assert "Traceback" not in done.stderr
        return list(json.loads(done.stdout))

    def said(self, *words: str) -> list[tuple[str, str]]:
        """Where, relative to the directory, and what."""
        return [(one["where"].removeprefix(f"{self.directory}/"), one["what"]) for one in self.found(*words)]

    def put(self, name: str, text: str) -> Path:
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if file.name == "run":
            file.chmod(0o755)
        return file

    def rules(self, text: str) -> None:
        self.put("tcp.smtp", text)
        with (self.directory / "tcp.smtp").open() as source:
            argv = ["tcprules", "tcp.smtp.cdb", "tcp.smtp.tmp"]
            subprocess.run(argv, stdin=source, cwd=self.directory, check=True)


@pytest.fixture
def written(tmp_path: Path, home: QmailHome) -> Callable[..., Checked]:
    """A service that we write, for `home`."""

    def write(*words: str) -> Checked:
        directory = tmp_path / "smtpd"
        argv = qmailfork("service", str(directory), "--yes", "--home", str(home.path), "--user", "", *words)
        environment = os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert (directory / "run").exists(), done.stderr
        return Checked(directory)

    return write


@pytest.fixture
def classic(tmp_path: Path, home: QmailHome) -> Checked:
    """A service directory as it is found in the field."""
    service = Checked(tmp_path / "classic")
    service.put("run", CLASSIC.format(home=home.path, programs=PROGRAMS, memory=80000000))
    service.put("env/SMTPEXTFORK", "fakes/exit 0\n")
    service.put("env/SMTPEXTFORKFAIL", "defer\n")
    service.rules('127.:allow,RELAYCLIENT=""\n:allow\n')
    return service


@pytest.mark.parametrize("kind", ["stdio", "listener", "handoff"])
@pytest.mark.parametrize("supervisor", ["daemontools", "runit", "s6"])
def test_nothing_is_wrong_with_what_we_write(
    written: Callable[..., Checked], home: QmailHome, supervisor: str, kind: str
) -> None:
    build_handoff(home.path)
    assert written("--supervisor", supervisor, "--kind", kind).found() == []


def test_service_hands_over_to_check(written: Callable[..., Checked]) -> None:
    service = written()
    service.put("env/SMTPEXTFORKTIMOUT", "5\n")
    argv = qmailfork("service", "--check", str(service.directory))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, service.call().stdout)
    assert "did you mean SMTPEXTFORKTIMEOUT?" in done.stdout


def test_nothing_is_wrong_with_a_classic(classic: Checked) -> None:
    assert classic.found() == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (" tcpserver ", " tcpsrever ", "tcpsrever is not in PATH"),
        ("/usr/bin/softlimit", "/usr/bin/sotflimit", "/usr/bin/sotflimit is not there"),
        (" qmailfork-smtpd ", " ./qmailfork-smtpd ", "./qmailfork-smtpd is not there"),
        (f"{PROGRAMS}:", "", "qmailfork-smtpd is not in PATH (/usr/local/bin:/usr/bin:/bin)"),
    ],
)
def test_a_program_that_is_missing(classic: Checked, old: str, new: str, what: str) -> None:
    classic.put("run", (classic.directory / "run").read_text().replace(old, new))
    assert ("run", what) in [(where, said[: len(what)]) for where, said in classic.said()]


@pytest.mark.parametrize(
    ("file", "text", "where", "what"),
    [
        ("env/SMTPEXTFORK", "/absent\n", "env/SMTPEXTFORK", "/absent is not there"),
        ("env/SMTPEXTFORK", "fakes/exit 0\r\n", "env/SMTPEXTFORK", "ends as in DOS"),
        ("env/554SMTPEXTFROK", "sorry\n", "env/554SMTPEXTFROK", "no program knows"),
        ("env/RELAYCLIENT", "\n", "env/RELAYCLIENT", "set for everyone"),
        ("env/old/SMTPEXTFORK", "\n", "env/old", "directory"),
        ("down", "", "down", "it is there"),
        ("tcp.smtp", ':allow,RELAYCLIENT=""\n', "tcp.smtp", "something else"),
    ],
)
def test_findings(classic: Checked, file: str, text: str, where: str, what: str) -> None:
    classic.put(file, text)
    if file == "tcp.smtp":
        os.utime(classic.directory / file, (1, 1))
    found = [place for place, said in classic.said() if what.lower() in said.lower()]
    assert found
    assert found[0].endswith(where)


@pytest.mark.parametrize(
    ("rules", "where", "what"),
    [
        (':allow,RELAYCLIENT=""\n', "tcp.smtp", "the rule for everyone sets RELAYCLIENT"),
        ('10.:allow,SMTPEXTFORK="/absent"\n', "tcp.smtp: 10.: SMTPEXTFORK", "/absent is not there"),
        ('10.:allow,SMTPEXTFROK="/absent"\n', "tcp.smtp: 10.: SMTPEXTFROK", "no program knows this variable"),
        (" 10.:deny\n:allow\n", "tcp.smtp:1", "it begins with a blank"),
    ],
)
def test_findings_in_rules(classic: Checked, rules: str, where: str, what: str) -> None:
    classic.rules(rules)
    found = [place for place, said in classic.said() if said.startswith(what)]
    assert found == [where]


def test_rules_that_do_not_compile(classic: Checked) -> None:
    classic.put("tcp.smtp", "10.:perhaps\n")
    os.utime(classic.directory / "tcp.smtp", (1, 1))
    assert ("tcp.smtp", "unable to parse this line: 10.:perhaps") in classic.said()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("-m 80000000", "-m 3000000", "softlimit -m 3000000 is little for Python"),
        ("0 smtp qmailfork-smtpd", "0 smtp sh -c 'exec qmailfork-smtpd'", "sh stands between"),
        ("id -u root", "id -u no-such-user", "there is no user no-such-user"),
        ("qmailfork-smtpd", "/usr/local/bin/wrapper", "what is behind '/usr/local/bin/wrapper' cannot be read"),
        ("0 smtp qmailfork-smtpd", "0 smtp qmailfork-smtpd /absent/smtpd", "/absent/smtpd is not there"),
    ],
)
def test_findings_in_run(classic: Checked, old: str, new: str, what: str) -> None:
    run = classic.directory / "run"
    run.write_text(run.read_text().replace(old, new))
    said = [told for _, told in classic.said() if told.startswith(what)]
    if what.startswith("sh "):
        keeps = subprocess.run(["sh", "-c", "env"], env={"554SMTPEXTFORK": "x"}, capture_output=True, check=True).stdout
        assert bool(said) == (b"554SMTPEXTFORK" not in keeps)
    else:
        assert said


def test_a_run_that_may_not_be_executed(classic: Checked) -> None:
    (classic.directory / "run").chmod(0o644)
    assert ("run", "it may not be executed") in classic.said()


def test_checkers_are_run_only_when_asked(classic: Checked) -> None:
    classic.put("env/SMTPEXTFORK", "fakes/hang\n")
    classic.put("env/SMTPEXTFORKTIMEOUT", "0.2\n")
    assert classic.found() == []
    (found,) = classic.found("--run")
    assert found["what"] == "fakes/hang, asked about a recipient: out of time"
    classic.put("env/SMTPEXTFORK", "fakes/exit 100\n")
    assert classic.found("--run") == []


@pytest.mark.skipif(not ROOTS, reason="only root may look as another user")
def test_with_the_eyes_of_the_user(classic: Checked, home: QmailHome) -> None:
    run = classic.directory / "run"
    checker = classic.put("checker", "#!/bin/sh\n")
    checker.chmod(0o700)
    classic.put("env/SMTPEXTFORK", f"{checker}\n")
    run.write_text(run.read_text().replace("id -u root", "id -u nobody"))
    assert classic.call().returncode == 2
    run.write_text(run.read_text().replace("id -u nobody", "id -u root"))
    assert classic.found() == []


def certificate(home: QmailHome, *days: str) -> None:
    names = (home.path / "control" / "serverkey.pem", home.path / "control" / "servercert.pem")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            "/CN=mail.joedomain.net", "-keyout", str(names[0]), "-out", str(names[1]), *days]  # fmt: skip
    subprocess.run(argv, check=True, capture_output=True)


def test_certificates(classic: Checked, home: QmailHome) -> None:
    certificate(home, "-days", "90")
    assert classic.found() == []
    certificate(home, "-days", "3")
    assert [one["what"] for one in classic.found()] == ["it expires in 2 days"]
    other = home.path / "control" / "serverkey.pem"
    other.write_text("rubbish\n")
    assert [one["level"] for one in classic.found()] == ["error"]


@pytest.mark.skipif(not ROOTS, reason="becomes another user")
def test_a_service_of_somebody_elses() -> None:
    with open_directory() as place:
        (place / "closed" / "service").mkdir(parents=True)
        (place / "closed").chmod(0o700)
        for directory, said in (("closed/service", "closed/service"), ("closed", "closed/run")):
            argv = ["setpriv", "--reuid", "65534", "--clear-groups", *qmailfork("check", str(place / directory))]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.splitlines()[-1] == f"Error: DIRECTORY: {place}/{said}: Permission denied"


def test_a_file_that_is_no_script_and_large(tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(b"a" * (1 << 23))
    done = subprocess.run(qmailfork("check", str(tmp_path)), capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (2, b"")
    assert f"warning: {tmp_path}/run: it runs no server\n".encode() in done.stdout


def test_rules_that_are_not_there(classic: Checked) -> None:
    for name in ("tcp.smtp", "tcp.smtp.cdb"):
        (classic.directory / name).unlink()
    assert classic.said() == [("tcp.smtp.cdb", "No such file or directory")]
    run = (classic.directory / "run").read_text()
    classic.put("run", run.replace("-x tcp.smtp.cdb", "-X -x tcp.smtp.cdb"))
    assert classic.said() == []


@pytest.mark.parametrize(
    ("place", "said"),
    [("absent", "no such directory"), ("empty", "run: No such file or directory"), ("env-dir", "leave --env-dir")],
)
def test_no_service(tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    more = ["--env-dir", str(tmp_path)] if place == "env-dir" else []
    done = Checked(tmp_path / place).call(*more)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("unix:{0}/metrics", ""),
        ("unix:metrics", ""),
        ("127.0.0.1:9100", ""),
        ("[::1]:9100", ""),
        ("9100", "9100: neither unix:PATH nor HOST:PORT"),
        ("unix:", "unix:: neither unix:PATH nor HOST:PORT"),
        ("192.0.2.1:9100", "192.0.2.1: Cannot assign requested address"),
        ("127.0.0.1:99999", "127.0.0.1 99999: no such port"),
        ("unix:{0}/absent/metrics", "the directory {0}/absent is not there"),
        ("unix:{0}/run", "{0}/run: it is there, and no socket"),
        (f"unix:/{'a' * 100}", f"/{'a' * 100} is longer than the path of a socket may be"),
    ],
)
def test_where_the_listener_tells_what_it_counts(written: Callable[..., Checked], address: str, what: str) -> None:
    service = written("--supervisor", "daemontools", "--kind", "listener", "--metrics", "127.0.0.1:9100")
    run = service.directory / "run"
    given = address.format(service.directory)
    run.write_text(run.read_text().replace("\nmetrics=127.0.0.1:9100", f"\nmetrics='{given}'"))
    expected = [("run", f"--metrics: {what.format(service.directory)}")] if what else []
    assert service.said() == expected


@pytest.mark.skipif(not ROOTS, reason="only root may look as another user")
@pytest.mark.parametrize(("before", "behind"), [("setuidgid nobody ", ""), ("", '-u "$(id -u nobody)" ')])
def test_who_opens_the_socket_of_metrics(home: QmailHome, before: str, behind: str) -> None:
    """The listener opens it before it becomes -u's user."""
    with open_directory() as path:
        (path / "own").mkdir()
        service = Checked(path)
        line = f"exec {before}qmailfork listen --metrics unix:{path}/own/metrics {behind}0 25\n"
        service.put("run", f"#!/bin/sh\nexport QMAILHOME={home.path}\n{line}")
        shutil.chown(path / "own", "nobody" if behind else "root")
        (path / "own").chmod(0o700)
        refused = [what for _, what in service.said() if "may not write" in what]
        assert refused == ([f"--metrics: whoever starts the listener may not write in {path}/own"] if before else [])


def test_metrics_without_what_tells_them(written: Callable[..., Checked], tmp_path: Path) -> None:
    """A Python that has all but prometheus-client."""
    service = written("--supervisor", "daemontools", "--kind", "listener", "--metrics", "127.0.0.1:9100")
    bare = bare_python(tmp_path / "bare")
    argv = [str(bare), *qmailfork("check", "--json", str(service.directory))[1:]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    (found,) = json.loads(done.stdout)
    assert found["what"] == "--metrics: prometheus-client is not installed"
    assert found["mend"] == f"{bare} -m pip install prometheus-client"
    argv = [str(bare), *qmailfork("service", str(tmp_path / "x"), "--yes", "--json", "--kind", "listener")[1:]]
    done = subprocess.run([*argv, "--metrics", "127.0.0.1:9100"], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["missing"]["prometheus-client, for --metrics"] == found["mend"]


def bare_python(place: Path) -> Path:
    """A virtual environment with the packages of this one, but for prometheus-client."""
    venv.create(place, symlinks=True)
    (site,) = place.glob("lib/python*/site-packages")
    for package in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not package.name.startswith(("prometheus_client", "_")):
            (site / package.name).symlink_to(package)
    return place / "bin" / "python"


def test_contrib_service(tmp_path: Path, home: QmailHome) -> None:
    for name in ("service", "service-listen"):
        service = Checked(tmp_path / name)
        shutil.copytree(ROOT / "contrib" / name, service.directory)
        run = service.directory / "run"
        text = run.read_text().replace("QMAILHOME=/var/qmail", f"QMAILHOME={home.path}")
        text = text.replace("PATH=/usr/local/bin:", f"PATH={PROGRAMS}:")
        run.write_text(text.replace("user=qmaild", "user="))
        service.rules((service.directory / "tcp.smtp").read_text())
        assert service.found() == []
