"""Control files and environment → Settings (qmail-control(5), qmailfork-control(5))."""

import posix
from time import time_ns

from qmailfork.conversation.settings import EXTENSIONS, MOST_SECONDS, ControlFault, Settings, Tls
from qmailfork.programs import checkers, journal, queue
from qmailfork.programs.peer import Peer
from qmailfork.system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qmailfork.conversation.authentication import Auth
    from qmailfork.conversation.switches import Switches
    from qmailfork.programs.journal import Style
    from qmailfork.system.cdb import Database
    from qmailfork.system.lists import Lists

HOME = b"/var/qmail"
COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")
SECONDS = 1200
CHILD_SECONDS = 300.0  # RFC 5321 section 4.5.3.2: what a client waits for most replies
TLS_WORDS = frozenset((b"CERTFILE", b"FORCETLS", b"SMTPS", b"SSL_PROTOCOL", b"TLSREQUIRED", b"UCSPITLS"))
SWITCHES = frozenset((
    b"BADHELO", b"GREETDELAY", b"HELOCHECK", b"LOCALMFCHECK", b"MAXRECIPIENTS", b"MFDNSCHECK", b"RECIPIENTS450",
    b"REPLY_BADMAILFROM", b"REPLY_BADRCPTTO", b"REPLY_HELO", b"REPLY_MAILBOX", b"REPLY_MAXSIZE", b"REPLY_NOGATEWAY",
    b"REPLY_SENDEREXIST", b"REPLY_SENDERINVALID", b"TARPITCOUNT", b"TARPITDELAY",
))  # fmt: skip
LISTS = (b"badhelo", b"badrcptto", b"recipients")  # spamcontrol's control files
PATTERNS = (b"*", b"?", b"[", b"\\", b"\n!", b"\n~", b"+\n", b"-\n", b"=\n")  # what spamcontrol reads in badmailfrom
NOTHING: frozenset[bytes] = frozenset()
BLINDABLE = frozenset({b"starttls"})


def received() -> dict[bytes, bytes]:
    """The environment as this process was given it: without the LC_CTYPE that Python puts behind it where it finds
    the C locale (PEP 538), and without a variable that has no name, for no program is started with one.
    """
    environment = dict(posix.environ)
    name, value = environment.popitem() if environment else (b"", b"")
    if name and (name != b"LC_CTYPE" or value not in COERCED):
        environment[name] = value
    environment.pop(b"", None)
    return environment


def home(environment: "Mapping[bytes, bytes]") -> bytes:
    """qmail's home, the working directory of checkers and queue."""
    return environment.get(b"QMAILHOME") or HOME


def absolute(home: bytes) -> bytes:
    """`home`, where it is one for a server wherever that was started. Raises ControlFault."""
    if not home.startswith(b"/"):
        raise ControlFault(f"QMAILHOME={home.decode(errors='surrogateescape')}: not an absolute path")
    return home


class Controls:
    """The control files below `home`, read once, and the smtpd that is `wrapped` (empty: none), which needs none.

    Raises ControlFault for one that is there and cannot be read.
    """

    __slots__ = (
        "_of_tls", "bad_senders", "databytes", "greeting", "has_certificate", "home", "lists", "local_host",
        "more_rcpthosts", "rcpthosts", "seconds", "wrapped",
    )  # fmt: skip

    def __init__(self, home: bytes, wrapped: "Sequence[bytes]" = ()) -> None:
        self.home = absolute(home)
        self.wrapped = wrapped
        self._of_tls: tuple[bytes, frozenset[bytes]] | None = None
        directory = home + b"/control/"
        self.has_certificate = posix.access(directory + b"servercert.pem", posix.F_OK)
        me = files.first_line(directory + b"me")
        greeting = files.first_line(directory + b"smtpgreeting")
        if greeting is None:
            greeting = me
        if greeting is None and wrapped:
            greeting = b""
        if greeting is None:
            raise ControlFault(f"{directory.decode(errors='replace')}: neither me nor smtpgreeting")
        self.greeting = greeting
        local_host = files.first_line(directory + b"localiphost")
        self.local_host = me if local_host is None else local_host
        seconds = files.number(files.first_line(directory + b"timeoutsmtpd"))
        self.seconds = SECONDS if seconds is None else min(max(seconds, 1), MOST_SECONDS)
        rcpthosts = files.lines(directory + b"rcpthosts")
        self.rcpthosts = None if rcpthosts is None else frozenset(line.lower() for line in rcpthosts)
        self.more_rcpthosts = None if rcpthosts is None else _cdb(directory + b"morercpthosts.cdb")
        senders = files.lines(directory + b"badmailfrom") or []
        self.bad_senders = frozenset(line.lower() for line in senders)
        self.lists = _lists(home, senders)
        self.databytes = files.number(files.first_line(directory + b"databytes")) or 0

    def of_tls(self) -> tuple[bytes, frozenset[bytes]]:
        """tlsserverciphers and tlsclients, read when they are first asked for. Raises ControlFault."""
        if self._of_tls is None:
            ciphers = files.first_line(self.home + b"/control/tlsserverciphers") or b""
            clients = files.lines(self.home + b"/control/tlsclients") or ()
            self._of_tls = ciphers, frozenset(line.lower() for line in clients)
        return self._of_tls


def _lists(home: bytes, senders: list[bytes]) -> "Lists | None":
    """spamcontrol's control files, where one is there or badmailfrom has its patterns. Raises ControlFault."""
    there = [name for name in LISTS if posix.access(home + b"/control/" + name, posix.F_OK)]
    text = b"\n%b\n" % b"\n".join(senders)
    patterns = any(map(text.__contains__, PATTERNS))
    if not there and not patterns:
        return None
    from qmailfork.system.lists import Lists  # noqa: PLC0415  # few sites have one

    return Lists(home, there, senders if patterns else ())


def _cdb(path: bytes) -> "Callable[[bytes], bool] | None":
    """Whether a key is in the cdb at `path`, as a function; None where there is no file. Raises ControlFault."""
    try:
        posix.close(posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC))
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise files.unreadable(path, fault) from None

    opened: list[Database] = []

    def has(key: bytes) -> bool:
        if not opened:  # most sessions never need it
            from qmailfork.system.cdb import Database  # noqa: PLC0415  # the library is as dear as the session

            opened.append(Database(path))
        return opened[0].get(key) is not None

    return has


def _is_mine(ip: bytes) -> bool:
    """Whether this host has the address `ip`. Raises ControlFault."""
    from qmailfork.system import addresses  # noqa: PLC0415  # only an address literal asks

    return addresses.is_mine(ip)


def settings(controls: Controls, environment: "Mapping[bytes, bytes]") -> Settings:
    """What one session with this `environment` (tcprules, env-dir) goes by. Raises ControlFault."""
    result = Settings()
    result.greeting = controls.greeting
    result.local_host = controls.local_host
    result.is_mine = _is_mine
    result.seconds = controls.seconds
    result.rcpthosts = controls.rcpthosts
    result.more_rcpthosts = controls.more_rcpthosts
    result.bad_senders = controls.bad_senders
    result.databytes = controls.databytes
    if b"DATABYTES" in environment:
        result.databytes = files.number(environment[b"DATABYTES"]) or 0
    result.relay_suffix = environment.get(b"RELAYCLIENT")
    result.queue = environment.get(b"QMAILQUEUE", queue.DEFAULT)
    result.loglevel = _loglevel(environment)
    result.checkers = checkers.Contract(environment)
    result.tls = _tls(controls, environment)
    result.auth = _auth(result, environment)
    result.switches = _switches(result, controls, environment)
    result.extensions = _extensions(environment, result.checkers.complaints)
    _wrap(result, controls, environment)
    if (environment.get(b"QMAILFORK_LOG") or b"spamcontrol") not in STYLES:
        result.checkers.complaints.append(b"QMAILFORK_LOG=" + environment[b"QMAILFORK_LOG"])
    return result


def _tls(controls: Controls, environment: "Mapping[bytes, bytes]") -> Tls | None:
    """How a session comes to TLS, where there is a certificate or a word of it."""
    if not controls.has_certificate and TLS_WORDS.isdisjoint(environment):
        return None
    from qmailfork.system import certificates  # noqa: PLC0415  # a host without TLS has no use for it

    return certificates.settings(controls.home, controls.of_tls(), environment)


def _auth(settings: Settings, environment: "Mapping[bytes, bytes]") -> "Auth | None":
    """How clients say who they are, where they can."""
    if b"SMTPAUTH" not in environment and b"REQUIREAUTH" not in environment:
        return None
    from qmailfork.system import authentication  # noqa: PLC0415  # an MX has no use for it

    return authentication.read(environment, settings)


def _switches(settings: Settings, controls: Controls, environment: "Mapping[bytes, bytes]") -> "Switches | None":
    """spamcontrol's switches, where one is set."""
    if controls.lists is None and SWITCHES.isdisjoint(environment):
        return None
    from qmailfork.system import switches  # noqa: PLC0415  # few sites set one

    return switches.read(controls, environment, settings.checkers.complaints)


def _extensions(environment: "Mapping[bytes, bytes]", complaints: list[bytes]) -> frozenset[bytes]:
    """The extensions of SMTP that are turned on."""
    if b"QMAILFORK_EXTENSIONS" not in environment:
        return NOTHING
    said = environment[b"QMAILFORK_EXTENSIONS"]
    words = frozenset(said.lower().replace(b",", b" ").split())
    if not words.issubset(EXTENSIONS):
        complaints.append(b"QMAILFORK_EXTENSIONS=" + said)
    return words.intersection(EXTENSIONS)


def _wrap(settings: Settings, controls: Controls, environment: "Mapping[bytes, bytes]") -> None:
    """What wrap mode goes by."""
    settings.wrapped = controls.wrapped
    settings.child_seconds, settings.blind = CHILD_SECONDS, NOTHING
    if controls.wrapped:
        seconds = settings.checkers.limit(b"QMAILFORK_CHILDTIMEOUT", CHILD_SECONDS)
        settings.child_seconds = min(seconds, MOST_SECONDS / 2)
        said = environment.get(b"QMAILFORK_BLIND", b"")
        verbs = frozenset(said.lower().replace(b",", b" ").split())
        settings.blind = verbs & BLINDABLE
        if verbs != settings.blind:
            settings.checkers.complaints.append(b"QMAILFORK_BLIND=" + said)


def peer(environment: "Mapping[bytes, bytes]") -> Peer:
    """The client, as tcp-environ(5) tells it."""
    get = environment.get
    local = get(b"TCPLOCALHOST", get(b"TCPLOCALIP", b"unknown"))
    return Peer(
        get(b"TCPREMOTEIP", b"unknown"),
        get(b"TCPREMOTEHOST", b"unknown"),
        environment.get(b"TCPREMOTEINFO"),
        local,
        get(b"TCPREMOTEPORT", b""),
        (get(b"TCPLOCALIP", b""), get(b"TCPLOCALPORT", b"")),
        unique(),
    )


def unique() -> bytes:
    """A name for a session that no other one on this host has had."""
    return b"%x.%x" % (posix.getpid(), time_ns())


def style(environment: "Mapping[bytes, bytes]") -> "Style":
    """The log style that QMAILFORK_LOG names; spamcontrol's where it names none."""
    return STYLES.get(environment.get(b"QMAILFORK_LOG", b""), _spamcontrol)(environment)


def _loglevel(environment: "Mapping[bytes, bytes]") -> int:
    """qmail-ldap's LOGLEVEL, 0 to 4; 0 under the other styles, which have no use for the smaller steps."""
    if environment.get(b"QMAILFORK_LOG") != b"qmail-ldap":
        return 0
    return min(files.number(environment.get(b"LOGLEVEL")) or 0, 4)


def _spamcontrol(environment: "Mapping[bytes, bytes]") -> "Style":
    return journal.spamcontrol


def _qmail_ldap(environment: "Mapping[bytes, bytes]") -> "Style":
    return journal.qmail_ldap(_loglevel(environment))


def _json(environment: "Mapping[bytes, bytes]") -> "Style":
    from qmailfork.programs import jsonlines  # noqa: PLC0415  # json costs re, which only this style has to pay

    return jsonlines.line


STYLES: "dict[bytes, Callable[[Mapping[bytes, bytes]], Style]]" = {
    b"spamcontrol": _spamcontrol,
    b"qmail-ldap": _qmail_ldap,
    b"json": _json,
}
