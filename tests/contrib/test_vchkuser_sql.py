"""vchkuser's SQL source, on SQLite and on a PostgreSQL server."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from xfvchkuser.sql import placeholders

from tests.databases import postgresql
from tests.mailsite import DEFER, PASS, REFUSE, MailSite

SETUP = """
CREATE TABLE users (name TEXT, domain TEXT, address TEXT, active BOOLEAN);
INSERT INTO users VALUES ('joe', 'example.org', 'joe@example.org', true);
INSERT INTO users VALUES ('old', 'example.org', 'old@example.org', false);
INSERT INTO users VALUES ('o''hara', 'example.org', 'o''hara@example.org', true);
INSERT INTO users VALUES ('jörg', 'example.org', 'jörg@example.org', true);
INSERT INTO users VALUES ('100%', 'example.org', '100%@example.org', true);
"""
BY_ADDRESS = "SELECT active FROM users WHERE address = :recipient"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL server with the table."""
    with postgresql() as uri:
        with psycopg.connect(uri, client_encoding="utf8") as connection:
            connection.execute(SETUP)
        yield uri


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> MailSite:
    """A site whose addresses are in a database."""
    site = MailSite(tmp_path / "site")
    if request.param == "sqlite":
        with closing(sqlite3.connect(site.home / "users.db")) as connection:
            connection.executescript(SETUP)
        site.env["VCHKUSER_SOURCES"] = "sql:sqlite:users.db"
    else:
        site.env["VCHKUSER_SOURCES"] = f"sql:{request.getfixturevalue('server')}"
    site.env["VCHKUSER_SQL"] = BY_ADDRESS
    return site


RECIPIENTS = {
    "joe@example.org": PASS,
    "JOE@Example.Org": PASS,
    "jim@example.org": REFUSE,
    "old@example.org": REFUSE,
    "o'hara@example.org": PASS,
    "jörg@example.org": PASS,
    "100%@example.org": PASS,
    "%@example.org": REFUSE,
    "' OR '1'='1@example.org": REFUSE,
    "x'; DROP TABLE users; --@example.org": REFUSE,
    "\\'@example.org": REFUSE,
    b"j\xf6rg@example.org": REFUSE,
    "x" * 2000 + "@example.org": REFUSE,
    "joe@elsewhere.example": PASS,
    "Joe@example.org": PASS,  # the table is still there
}


def test_the_address_is_a_parameter(site: MailSite) -> None:
    assert dict(zip(RECIPIENTS, site.resident(*RECIPIENTS), strict=True)) == RECIPIENTS


def test_by_hand(site: MailSite) -> None:
    assert [site.code("joe@example.org"), site.code("jim@example.org")] == [PASS, REFUSE]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 FROM users WHERE name = :local AND domain = :domain AND active",
        "SELECT count(*) FROM users WHERE address = :recipient AND active",
        "SELECT name FROM users WHERE address = lower(:recipient) AND active",
        "SELECT 1 FROM users WHERE address LIKE '%@' || :domain AND name = :local AND active",
        "SELECT max(name) FROM users WHERE address = :recipient AND active",
        "SELECT NULL UNION ALL SELECT name FROM users WHERE address = :recipient AND active UNION ALL SELECT ''",
    ],
)
def test_queries(site: MailSite, query: str) -> None:
    recipients = (f"{name}@example.org" for name in ("joe", "jim", "old"))
    assert site.resident(*recipients, VCHKUSER_SQL=query) == [PASS, REFUSE, REFUSE]


def test_extensions(site: MailSite) -> None:
    assert site.resident("joe-x@example.org", "jim-x@example.org", VCHKUSER_BREAK="-") == [PASS, REFUSE]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "VCHKUSER_SQL is not set"),
        ("SELECT nonsense FROM users", "nonsense"),
        ("SELECT 1 FROM nowhere", "nowhere"),
        ("DELETE FROM users", "read"),
        ("SELECT :nobody", ""),
        ("SELECT '\udcff'", "surrogates not allowed"),
    ],
)
def test_queries_that_do_not_work(site: MailSite, query: str, told: str) -> None:
    done = site.ask("joe@example.org", VCHKUSER_SQL=query)
    assert (done.returncode, done.stderr.count(b"\n")) == (DEFER, 1), done.stderr
    assert told.encode() in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"internal error" not in done.stderr


@pytest.mark.parametrize(
    "source", ["sql:sqlite:absent.db", "sql:sqlite:control/me", "sql:postgresql://x@/y?host=/absent"]
)
def test_databases_that_are_not_there(site: MailSite, source: str) -> None:
    done = site.ask("joe@example.org", VCHKUSER_SOURCES=source)
    assert (done.returncode, done.stderr.count(b"\n")) == (DEFER, 1), done.stderr
    assert b"Traceback" not in done.stderr
    assert not (site.home / "absent.db").exists()


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_server_that_does_not_answer(tmp_path: Path, deaf: int) -> None:
    site = MailSite(tmp_path / "site")
    source = f"sql:postgresql://x@127.0.0.1:{deaf}/y"
    assert site.code("joe@example.org", VCHKUSER_SOURCES=source, VCHKUSER_SQL=BY_ADDRESS, VCHKUSER_TIMEOUT="1") == DEFER


def test_a_query_that_does_not_end(tmp_path: Path, server: str) -> None:
    site = MailSite(tmp_path / "site")
    env = {"VCHKUSER_SOURCES": f"sql:{server}", "VCHKUSER_SQL": "SELECT pg_sleep(1000)", "VCHKUSER_TIMEOUT": "1"}
    assert site.code("joe@example.org", **env) == DEFER


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a = :recipient", "a = %(recipient)s"),
        ("a = :local::text AND b = ':x'", "a = %(local)s::text AND b = ':x'"),
        ("a LIKE '%' || :domain", "a LIKE '%%' || %(domain)s"),
        ("a::domain, :domains, x:local", "a::domain, :domains, x:local"),
    ],
)
def test_placeholders(query: str, expected: str) -> None:
    assert placeholders(query) == expected
