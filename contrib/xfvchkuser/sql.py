"""An SQL query: SQLite, or PostgreSQL through psycopg. The address is a parameter, never part of the text."""

from __future__ import annotations

from xfvchkuser.answers import NO, YES, Trouble
from xfvchkuser.limits import Limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from xfvchkuser.site import Recipient, Site

PARAMETERS = ("recipient", "local", "domain")
SCHEMES = ("postgresql://", "postgres://")


def exists(recipient: Recipient, argument: str, site: Site) -> int:
    """Say whether VCHKUSER_SQL finds the address: a row whose first value is not null, 0, false or empty.

    argument: `sqlite:PATH`, or a URI as libpq takes it. Raises Trouble.
    """
    query = site.env.get("VCHKUSER_SQL", "")
    if not query:
        raise Trouble("VCHKUSER_SQL is not set")
    ask = _asker(argument)
    for name in recipient.locals(site.breaks):
        values = _values(name, recipient.domain)
        if values is not None and ask(argument, query, values, site):
            return YES
    return NO


def _asker(argument: str) -> Callable[[str, str, dict[str, str], Site], bool]:
    if argument.startswith("sqlite:"):
        return _sqlite
    if argument.startswith(SCHEMES):
        return _postgresql
    raise Trouble("VCHKUSER_SOURCES: sql needs sqlite:PATH or postgresql://HOST/DATABASE")


def _values(local: bytes, domain: bytes) -> dict[str, str] | None:
    """Return the parameters in lower case; None for octets that are no text, which no database has."""
    try:
        name, host = local.lower().decode(), domain.decode()
    except UnicodeDecodeError:
        return None
    return dict(zip(PARAMETERS, (f"{name}@{host}", name, host), strict=True))


def _sqlite(argument: str, query: str, values: dict[str, str], site: Site) -> bool:
    import sqlite3  # noqa: PLC0415  # only the sites that use it pay for it
    from urllib.parse import quote  # noqa: PLC0415

    path = site.path(argument.partition(":")[2])
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=site.seconds)
        try:
            found = any(row[0] for row in connection.execute(query, values))
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeError) as error:
        raise Trouble(f"{path}: {error}") from None
    return found


def _postgresql(argument: str, query: str, values: dict[str, str], site: Site) -> bool:
    psycopg = _driver()
    options = {"connect_timeout": max(site.seconds, 2), "client_encoding": "utf8"}
    try:
        connection = psycopg.connect(argument, **options)
        with connection, Limit(connection.fileno(), site.seconds):
            connection.read_only = True
            found = any(row[0] for row in connection.execute(placeholders(query), values))
    except (psycopg.Error, UnicodeError) as error:
        raise Trouble(f"sql: {' '.join(str(error).split())}") from None
    return found


def _driver() -> ModuleType:
    try:
        import psycopg  # noqa: PLC0415
    except ImportError:
        raise Trouble("sql: postgresql needs the Python package psycopg") from None
    return psycopg


def placeholders(query: str) -> str:
    """Return query with psycopg's placeholders for :recipient, :local and :domain (`::` stays a cast)."""
    import re  # noqa: PLC0415  # psycopg has loaded it

    names = "|".join(PARAMETERS)
    return re.sub(rf"(?<![:\w]):({names})\b", r"%(\1)s", query.replace("%", "%%"))
