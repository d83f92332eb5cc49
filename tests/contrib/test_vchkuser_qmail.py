"""vchkuser on qmail's own files: control/, users/cdb, system users, ~alias, .qmail files.

The account database is nss_wrapper's. Where notqmail is installed, its qmail-getpw and qmail-local are
asked the same questions.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.mailsite import DEFER, PASS, REFUSE, WRAPPER, MailSite, assign, qmail_site

QMAIL = Path("/var/qmail/bin")


@pytest.fixture
def site(tmp_path: Path) -> MailSite:
    """A site with users and a vpopmail domain."""
    return qmail_site(tmp_path / "site")


def test_nss_wrapper_is_there() -> None:
    assert WRAPPER, "these tests need nss_wrapper (Debian: libnss-wrapper)"


class TestSystem:
    """qmail-getpw's and qmail-local's rules."""

    def test_users(self, site: MailSite) -> None:
        recipients = ["joe@local.example", "JOE@local.example", "joe-sub@local.example", "joe@LOCAL.example"]
        assert site.resident(*recipients) == [PASS] * 4
        refused = ["jim@local.example", "root@local.example", "homeless@local.example", "thief@local.example"]
        assert site.resident(*refused, "upper@local.example", "jo@local.example") == [REFUSE] * 6

    def test_extensions(self, site: MailSite) -> None:
        site.write("home/joe/.qmail-a:b", "")
        site.write("home/joe/.qmail-list-default", "&x@elsewhere.example\n")
        site.write("home/joe/.qmail-off", "|exit 100\n")
        (site.home / "home/joe/.qmail-dir").mkdir()
        os.mkfifo(site.home / "home/joe/.qmail-pipe")
        here = [
            "joe-a.b@local.example",
            "Joe-A.B@local.example",
            "joe-list-x@local.example",
            "joe-list-@local.example",
        ]
        assert site.resident(*here) == [PASS] * 4
        none = [
            "joe-b@local.example",
            "joe-list@local.example",
            "joe-off@local.example",
            "joe-dir@local.example",
            "joe-pipe@local.example",
        ]
        assert site.resident(*none, "joe-@local.example", "joe-sub-a.b@local.example") == [REFUSE] * 7

    def test_a_default_takes_all(self, site: MailSite) -> None:
        site.write("home/joe/.qmail-default", "")
        assert site.resident("joe-any@local.example", "joe-@local.example", "joe@local.example") == [PASS] * 3

    def test_alias(self, site: MailSite) -> None:
        site.write("alias/.qmail-postmaster", "&joe@local.example\n")
        site.write("alias/.qmail-sales-default", "")
        site.write("alias/.qmail-root", "")
        here = ["postmaster@local.example", "sales-x@local.example", "root@local.example"]
        assert site.resident(*here) == [PASS] * 3
        assert site.resident("sales@local.example", "webmaster@local.example") == [REFUSE] * 2

    def test_virtual_domain_of_a_user(self, site: MailSite) -> None:
        site.write("home/joe/.qmail-virtual-info", "")
        assert site.resident("info@virtual.example", "other@virtual.example") == [PASS, REFUSE]

    def test_virtual_user_and_exception(self, site: MailSite) -> None:
        site.control("virtualdomains", "boss@local2.example:joe-boss", "local2.example:", ":joe-all")
        site.control("rcpthosts", "local2.example", "any.example")
        site.write("home/joe/.qmail-boss-boss", "")
        site.write("home/joe/.qmail-all-info", "")
        recipients = ["boss@local2.example", "x@local2.example", "info@any.example", "x@any.example"]
        assert site.resident(*recipients) == [PASS, PASS, PASS, REFUSE]  # the second is delivered elsewhere

    def test_assignments(self, site: MailSite) -> None:
        home = site.home / "home/joe"
        assign(
            site,
            f"=Joe.Shmoe:joe:1:1:{home}:::",
            f"+shop-:joe:1:1:{home}:-:shop-:",
            f"+shop-x-:joe:1:1:{home}:-::",
        )
        site.write("home/joe/.qmail-shop-a", "")
        site.write("home/joe/.qmail-b", "")
        here = ["joe.shmoe@local.example", "shop-a@local.example", "shop-x-b@local.example"]
        assert site.resident(*here) == [PASS] * 3
        assert site.resident("shop-b@local.example", "shop-x-a@local.example", "shop@local.example") == [REFUSE] * 3
        (site.home / "users/cdb").unlink()
        assert site.resident(*here, "shop-b@local.example") == [PASS] * 3 + [REFUSE]

    def test_percent_hack(self, site: MailSite) -> None:
        site.control("percenthack", "local.example")
        assert site.resident("joe%local.example@local.example", "jim%local.example@local.example") == [
            PASS,
            REFUSE,
        ]
        assert site.code("jim%elsewhere.example@local.example") == PASS

    def test_empty_local_part_is_trash(self, site: MailSite) -> None:
        assert site.code("@local.example") == PASS

    def test_elsewhere_passes(self, site: MailSite) -> None:
        assert site.code("x@elsewhere.example") == PASS

    @pytest.mark.parametrize("local", ["joe-../../passwd", "joe-a/b", "joe-" + "x" * 300, "joe-.", "joe-\u00e9"])
    def test_names_that_are_no_files(self, site: MailSite, local: str) -> None:
        site.write("home/joe/.qmail-a/b", "")
        assert site.code(f"{local}@local.example") == REFUSE

    def test_no_alias_account(self, site: MailSite) -> None:
        passwd = site.home / "passwd"
        passwd.write_text("".join(line for line in passwd.open() if not line.startswith("alias:")))
        done = site.ask("jim@local.example")
        assert done.returncode == DEFER
        assert b"no account alias" in done.stderr


@pytest.mark.skipif(not QMAIL.exists(), reason="compares with notqmail's programs, where they are installed")
class TestLikeQmail:
    """The same questions to qmail-getpw(8) and qmail-local(8)."""

    LOCALS = (
        "joe", "JOE", "joe-", "joe-a.b", "joe-A.B", "joe-list-x", "joe-list", "joe-list-", "joe-dir", "joe-sub",
        "jim", "joe-sub-a", "joe-sub-list-a-b", "root", "thief", "homeless", "Upper", "upper", "postmaster",
        "sales-x", "-", "sales", "sales-", "joe-x-", "joe-x-y", "joe--", "a" * 31, "a" * 40 + "-joe", "alias",
        "alias-x", "joe+a",
    )  # fmt: skip

    def test_agree(self, site: MailSite) -> None:
        for name in ("a:b", "list-default", "x-", "x--default", "-"):
            site.write(f"home/joe/.qmail-{name}", "&x@elsewhere.example\n")
        site.write("home/joe-sub/.qmail-list-a-default", "")
        (site.home / "home/joe/.qmail-dir").mkdir()
        for name in ("postmaster", "sales-default", "root", "thief"):
            site.write(f"alias/.qmail-{name}", "&x@elsewhere.example\n")
        ours = site.resident(*(f"{local}@local.example" for local in self.LOCALS))
        theirs = [qmails_code(site, local) for local in self.LOCALS]
        assert dict(zip(self.LOCALS, ours, strict=True)) == dict(zip(self.LOCALS, theirs, strict=True))


def qmails_code(site: MailSite, local: str) -> int:
    """Return REFUSE if qmail-local -n bounces local (exit code 100), PASS if it would deliver."""
    found = subprocess.run([QMAIL / "qmail-getpw", local], env=site.env, capture_output=True, check=True)
    user, _, _, home, dash, ext, _ = found.stdout.decode().split("\0")
    question = ["-n", user, home, local, dash, ext, "local.example", "", "./Mailbox"]
    done = subprocess.run([QMAIL / "qmail-local", *question], env=site.env, capture_output=True, check=False)
    assert done.returncode in (0, 100), done.stdout
    return REFUSE if done.returncode == 100 else PASS
