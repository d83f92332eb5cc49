"""The site as the environment describes it: qmail's home, its control files, the recipient asked about."""

from __future__ import annotations

from xfkit import number

from xfvchkuser.answers import Trouble, trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

HOME = "/var/qmail"


class Recipient:
    """An address as octets: local as it came, domain in lower case."""

    __slots__ = ("domain", "local")

    def __init__(self, local: bytes, domain: bytes) -> None:
        self.local = local
        self.domain = domain.lower()

    @property
    def address(self) -> bytes:
        """Return local@domain."""
        return self.local + b"@" + self.domain

    def locals(self, breaks: bytes) -> list[bytes]:
        """Return the local part and, if one of breaks is within it, the part before the first of them."""
        at = min((i for i in (self.local.find(bytes([octet])) for octet in breaks) if i > 0), default=0)
        return [self.local, self.local[:at]] if at else [self.local]


class Site:
    """One run's view of the site. Files are read when they are asked for."""

    __slots__ = ("env", "home")

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.home = env.get("QMAILHOME") or HOME

    @property
    def breaks(self) -> bytes:
        """Return the characters that begin an extension in lists and accounts (VCHKUSER_BREAK)."""
        return octets(self.env.get("VCHKUSER_BREAK", ""))

    @property
    def seconds(self) -> int:
        """Return how long a server may take to answer (VCHKUSER_TIMEOUT)."""
        return number(self.env, "VCHKUSER_TIMEOUT", 10, 1, 3600)

    def path(self, name: str) -> str:
        """Return name as an absolute path; a relative one is relative to qmail's home."""
        return name if name.startswith("/") else f"{self.home}/{name}"

    def control(self, name: str) -> list[bytes] | None:
        """Return the lines of a control file, None without the file. Raises Trouble."""
        return control_lines(self.path(f"control/{name}"))

    def me(self, name: str) -> bytes:
        """Return the first line of a control file that defaults to control/me; neither: empty."""
        lines = self.control(name) or self.control("me") or [b""]
        return lines[0]

    def recipient(self) -> Recipient:
        """Return REMOTERCPT; without an @ it is at control/envnoathost, as for qmail-send(8)."""
        local, at, domain = octets(self.env.get("REMOTERCPT", "")).rpartition(b"@")
        if not at and not domain:
            raise Trouble("REMOTERCPT is not set")
        return Recipient(local, domain) if at else Recipient(domain, self.me("envnoathost"))


def control_lines(path: str) -> list[bytes] | None:
    """Return a file's lines as qmail-control(5) has them, without blank ends, empty lines and comments."""
    try:
        with open(path, "rb") as file:
            lines = [line.rstrip(b" \t\n") for line in file]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise trouble(path, error) from None
    return [line for line in lines if line and not line.startswith(b"#")]


def octets(text: str) -> bytes:
    """Return what stood in the environment."""
    return text.encode("utf-8", "surrogateescape")
