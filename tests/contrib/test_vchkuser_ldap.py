"""vchkuser's LDAP source, on a slapd."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.directory import ADMIN, PASSWORD, SUFFIX, Directory, directory
from tests.mailsite import DEFER, PASS, REFUSE, MailSite

PERSON = """
dn: uid={uid},ou={ou},{suffix}
objectClass: inetOrgPerson
uid: {uid}
cn: {uid}
sn: {uid}
mail: {mail}
"""
ENTRIES = (
    f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n"
    f"\ndn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n"
    f"\ndn: ou=example.org,{SUFFIX}\nobjectClass: organizationalUnit\nou: example.org\n"
    f"\ndn: ou=hidden,{SUFFIX}\nobjectClass: organizationalUnit\nou: hidden\n"
    + PERSON.format(uid="joe", ou="people", suffix=SUFFIX, mail="Joe@example.org")
    + PERSON.format(uid="star", ou="people", suffix=SUFFIX, mail="*@example.org")
    + PERSON.format(uid="anna", ou="example.org", suffix=SUFFIX, mail="anna@example.org")
    + PERSON.format(uid="secret", ou="hidden", suffix=SUFFIX, mail="secret@example.org")
    + PERSON.format(uid="twin1", ou="people", suffix=SUFFIX, mail="twin@example.org")
    + PERSON.format(uid="twin2", ou="people", suffix=SUFFIX, mail="twin@example.org")
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    """A slapd with the entries."""
    with directory(tmp_path_factory.mktemp("ldap"), ENTRIES) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, server: Directory) -> MailSite:
    """A site whose addresses are in the directory."""
    site = MailSite(tmp_path / "site")
    site.env.update(VCHKUSER_SOURCES=f"ldap:{server.url}", VCHKUSER_LDAP_BASE=SUFFIX)
    return site


RECIPIENTS = {
    "joe@example.org": PASS,
    "JOE@example.org": PASS,
    "twin@example.org": PASS,
    "jim@example.org": REFUSE,
    "*@example.org": PASS,
    "j*@example.org": REFUSE,
    "**@example.org": REFUSE,
    "joe)(mail=*@example.org": REFUSE,
    "x)(|(uid=*@example.org": REFUSE,
    "\\2a@example.org": REFUSE,
    "joe\\00@example.org": REFUSE,
    "jörg@example.org": REFUSE,
    b"j\xf6rg@example.org": REFUSE,
    "secret@example.org": REFUSE,  # nobody in particular may not see it
    "x" * 2000 + "@example.org": REFUSE,
    "joe@elsewhere.example": PASS,
}


def test_the_address_is_escaped(site: MailSite) -> None:
    assert dict(zip(RECIPIENTS, site.resident(*RECIPIENTS), strict=True)) == RECIPIENTS


def test_by_hand(site: MailSite) -> None:
    assert [site.code("joe@example.org"), site.code("jim@example.org")] == [PASS, REFUSE]


def test_over_a_unix_socket(site: MailSite, server: Directory) -> None:
    env = {"VCHKUSER_SOURCES": f"ldap:{server.local_url}"}
    assert site.resident("joe@example.org", "jim@example.org", **env) == [PASS, REFUSE]


def test_filter(site: MailSite) -> None:
    env = {"VCHKUSER_LDAP_FILTER": "(&(uid=%u)(mail=*@%d)(!(cn=100%%)))", "VCHKUSER_BREAK": "-"}
    recipients = ["joe@example.org", "joe-x@example.org", "jim@example.org", "joe@a.example.net"]
    assert site.resident(*recipients, **env) == [PASS, PASS, REFUSE, REFUSE]


def test_base_of_the_domain(site: MailSite) -> None:
    env = {"VCHKUSER_LDAP_BASE": f"ou=%d,{SUFFIX}"}
    recipients = ["anna@example.org", "joe@example.org", "anna@b.example.net", "x@a,ou=people.example.net"]
    assert site.resident(*recipients, **env) == [PASS, REFUSE, REFUSE, REFUSE]


def test_bind_with_a_password_file(site: MailSite) -> None:
    site.write("control/ldap", PASSWORD + "\nmore\n")
    env = {"VCHKUSER_LDAP_USER": ADMIN, "VCHKUSER_LDAP_PASSWORDFILE": "control/ldap"}
    assert site.resident("secret@example.org", "jim@example.org", **env) == [PASS, REFUSE]
    site.write("control/ldap", "wrong\n")
    done = site.ask("secret@example.org", **env)
    assert (done.returncode, b"invalidCredentials" in done.stderr) == (DEFER, True)


@pytest.mark.parametrize("way", ["starttls", "ldaps"])
def test_tls(site: MailSite, server: Directory, way: str) -> None:
    env = {"VCHKUSER_LDAP_CA": str(server.certificate)}
    env |= {"VCHKUSER_LDAP_STARTTLS": "1"} if way == "starttls" else {"VCHKUSER_SOURCES": f"ldap:{server.safe_url}"}
    assert site.resident("joe@example.org", "jim@example.org", **env) == [PASS, REFUSE]


def test_a_certificate_that_nobody_signed(site: MailSite, server: Directory) -> None:
    assert site.code("joe@example.org", VCHKUSER_LDAP_STARTTLS="1") == DEFER
    assert site.code("joe@example.org", VCHKUSER_SOURCES=f"ldap:{server.safe_url}") == DEFER


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"VCHKUSER_LDAP_BASE": ""}, "VCHKUSER_LDAP_BASE is not set"),
        ({"VCHKUSER_LDAP_BASE": "dc=elsewhere"}, "noSuchObject"),
        ({"VCHKUSER_LDAP_BASE": "nonsense"}, "attribute type not present"),
        ({"VCHKUSER_LDAP_FILTER": "(mail=%s"}, "filter"),
        ({"VCHKUSER_LDAP_PASSWORDFILE": "absent"}, "absent: No such file"),
        ({"VCHKUSER_SOURCES": "ldap:http://localhost/"}, "no ldap://, ldaps:// or ldapi:// URL"),
        ({"VCHKUSER_SOURCES": "ldap:ldap://localhost:x"}, "port"),
        ({"VCHKUSER_SOURCES": "ldap:ldapi://%2Fabsent"}, "socket"),
    ],
)
def test_trouble(site: MailSite, env: dict[str, str], told: str) -> None:
    done = site.ask("joe@example.org", **env)
    assert (done.returncode, done.stderr.count(b"\n")) == (DEFER, 1), done.stderr
    assert told.encode() in done.stderr
    assert b"internal error" not in done.stderr


def test_a_server_that_does_not_answer(site: MailSite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        source = f"ldap:ldap://127.0.0.1:{deaf.getsockname()[1]}"
        assert site.code("joe@example.org", VCHKUSER_SOURCES=source, VCHKUSER_TIMEOUT="1") == DEFER
