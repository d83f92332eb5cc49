"""vchkuser on what nobody thought of: any recipient gets a verdict, and users/assign says what users/cdb says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xfvchkuser import check, routing
from xfvchkuser.ahead import quoted
from xfvchkuser.owners import assigned
from xfvchkuser.site import Recipient, Site, octets

from tests.mailsite import PASS, REFUSE, MailSite, assign, qmail_site

LOCAL = st.text("aAbB-.!:+@/\u00e9", max_size=12)
ANYTHING = st.binary(min_size=1).map(lambda octets: octets.replace(b"\0", b"0").decode("utf-8", "surrogateescape"))
NAMES = st.text("aAbB-.!", max_size=4)
LINES = st.lists(st.tuples(st.sampled_from("=+"), NAMES, st.sampled_from(["", "-"]), NAMES), max_size=6)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> MailSite:
    """A site with users and a vpopmail domain."""
    return qmail_site(tmp_path_factory.mktemp("site") / "site")


@given(recipient=ANYTHING | LOCAL.map(lambda x: f"{x}@v.example"))
def test_every_recipient_gets_a_verdict(site: MailSite, recipient: str) -> None:
    site.write("list", "joe@v.example\n")
    env = {"QMAILHOME": str(site.home), "VCHKUSER_SOURCES": "vpopmail,text:list", "REMOTERCPT": recipient}
    assert check(env).code in (PASS, REFUSE)


@given(lines=LINES, locals_=st.lists(LOCAL, min_size=1, max_size=5))
def test_the_text_says_what_the_cdb_says(tmp_path_factory: pytest.TempPathFactory, lines, locals_) -> None:
    home = MailSite(tmp_path_factory.mktemp("assign", numbered=True))
    shown = [f"{kind}{name}:user:1:1:/home/{at}:{dash}:{pre}:" for at, (kind, name, dash, pre) in enumerate(lines)]
    assign(home, *shown)
    site = Site({"QMAILHOME": str(home.home)})
    by_cdb = [repr(assigned(site, octets(local))) for local in locals_]
    (home.home / "users/cdb").unlink()
    assert [repr(assigned(site, octets(local))) for local in locals_] == by_cdb


@given(local=st.binary(max_size=20), domain=st.binary(max_size=20))
def test_an_address_is_one_path_in_one_command(local: bytes, domain: bytes) -> None:
    path = quoted(Recipient(local, domain))
    if path is None:
        return
    assert not {"\r", "\n", "\0"} & set(path)
    if path.startswith('"'):  # the quoted string ends where it should, and unquoted it is the local part
        inner, rest = [], iter(path[1:])
        for mark in rest:
            if mark == '"':
                break
            inner.append(next(rest) if mark == "\\" else mark)
        assert ("".join(inner).encode("latin-1"), "".join(rest)) == (local, "@" + domain.lower().decode("latin-1"))
    else:
        assert path.encode("latin-1") == local + b"@" + domain.lower()


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        (b"a.b.c", [b"a.b.c", b".b.c", b".c", b""]),
        (b"a", [b"a", b""]),
        (b"", [b"", b""]),
        (b".a", [b".a", b""]),
        (b"a.", [b"a.", b".", b""]),
    ],
)
def test_wildcards_in_qmails_order(domain: bytes, names: list[bytes]) -> None:
    assert list(routing.suffixes(domain)) == names


def test_path_is_below_home(tmp_path: Path) -> None:
    site = Site({"QMAILHOME": str(tmp_path)})
    assert (site.path("a"), site.path("/b")) == (f"{tmp_path}/a", "/b")
