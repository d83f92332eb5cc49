"""Environment → how clients say who they are (qmailfork-control(5))."""

import posix

from qmailfork.conversation.authentication import MECHANISMS, Auth
from qmailfork.programs.checkers import Contract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmailfork.conversation.settings import Settings

LOGIN, PLAIN, CRAM = MECHANISMS
SECONDS, DELAY, TRIES = 60.0, 5.0, 3
MOST_SECONDS = 3600.0
WORDS: dict[bytes, tuple[bytes, ...]] = {  # s/qmail's; a ! before them requires it
    b"": (LOGIN, PLAIN),
    b"cram": (CRAM,),
    b"+cram": (LOGIN, PLAIN, CRAM),
    b"-": (),
}
NUMBERS = frozenset((b"QMAILFORK_AUTHDELAY", b"QMAILFORK_AUTHTIMEOUT", b"QMAILFORK_AUTHTRIES"))


def read(environment: "Mapping[bytes, bytes]", settings: "Settings") -> Auth:
    """What the `environment` says of it; what makes no sense there goes into the `settings`' complaints."""
    contract, result = settings.checkers, Auth()
    word = environment.get(b"SMTPAUTH", b"").strip().lower()
    result.required = word.startswith(b"!") or bool(environment.get(b"REQUIREAUTH"))
    result.mechanisms = _mechanisms(word.removeprefix(b"!"), contract)
    result.in_plain = bool(environment.get(b"QMAILFORK_AUTHINPLAIN"))
    result.program = environment.get(b"QMAILFORK_CHECKPASSWORD", b"").split()
    result.delay, result.seconds, result.tries = DELAY, SECONDS, TRIES
    result.nonce = _nonce
    if not NUMBERS.isdisjoint(environment):
        _limits(environment, result, contract)
    if result.mechanisms:
        _complain(settings, result)
    return result


def _mechanisms(word: bytes, contract: Contract) -> tuple[bytes, ...]:
    if word not in WORDS:
        contract.complaints.append(b"SMTPAUTH=" + word)
    return WORDS.get(word, WORDS[b""])


def _limits(environment: "Mapping[bytes, bytes]", auth: Auth, contract: Contract) -> None:
    auth.seconds = min(contract.limit(b"QMAILFORK_AUTHTIMEOUT", SECONDS), MOST_SECONDS)
    auth.tries = int(contract.limit(b"QMAILFORK_AUTHTRIES", TRIES)) or TRIES
    if environment.get(b"QMAILFORK_AUTHDELAY", b"").strip() == b"0":
        auth.delay = 0.0
    else:
        auth.delay = min(contract.limit(b"QMAILFORK_AUTHDELAY", DELAY), MOST_SECONDS)


def _complain(settings: "Settings", auth: Auth) -> None:
    """Tell why nobody will get to say who they are; without a program nobody is asked to."""
    if not auth.program:
        auth.mechanisms = ()
        settings.checkers.complaints.append(b"QMAILFORK_CHECKPASSWORD=")
    elif not auth.in_plain and settings.tls is None:
        settings.checkers.complaints.append(b"SMTPAUTH without TLS")


def _nonce() -> bytes:
    """A number that nobody can know beforehand."""
    with open("/dev/urandom", "rb", buffering=0) as source:
        return b"%d.%b" % (posix.getpid(), source.read(12).hex().encode())
