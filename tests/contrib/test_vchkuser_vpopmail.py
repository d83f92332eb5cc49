"""vchkuser on vpopmail's files: users/cdb, accounts, .qmail files, .qmail-default; what its user may not see."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mailsite import DEFER, PASS, REFUSE, VDELIVERMAIL, MailSite, qmail_site


@pytest.fixture
def site(tmp_path: Path) -> MailSite:
    """A site with users and a vpopmail domain."""
    return qmail_site(tmp_path / "site")


class TestVpopmail:
    """The domain's accounts, .qmail files and .qmail-default."""

    def test_accounts(self, site: MailSite) -> None:
        recipients = ["anna@v.example", "Anna@V.Example", "anna@alias.example", "half@v.example"]
        assert site.resident(*recipients) == [PASS, PASS, PASS, REFUSE]
        assert site.resident("nobody@v.example", "nobody@alias.example", "ann@v.example") == [REFUSE] * 3

    def test_account_that_bounces(self, site: MailSite) -> None:
        assert site.code("gone@v.example") == REFUSE

    def test_vpasswd_cdb_is_preferred(self, site: MailSite) -> None:
        site.cdb(
            "domains/v.example/vpasswd.cdb",
            [(b"berta", b"$1$x:1:0:Berta:/x:NOQUOTA"), (b"gone", b"x:1:16:::")],
        )
        assert site.resident("berta@v.example", "gone@v.example", "anna@v.example") == [PASS, REFUSE, REFUSE]

    def test_qmail_files(self, site: MailSite) -> None:
        site.write("domains/v.example/.qmail-info", "&anna@v.example\n")
        site.write("domains/v.example/.qmail-j:doe", "")
        site.write("domains/v.example/.qmail-list-default", "|/usr/bin/ezmlm-manage list\n")
        site.write("domains/v.example/.qmail-closed", "|bouncesaying 'This address is closed.'\n")
        here = [
            "info@v.example",
            "Info@v.example",
            "j.doe@v.example",
            "list-owner@v.example",
            "list-@v.example",
        ]
        assert site.resident(*here) == [PASS] * 5
        assert site.resident("list@v.example", "closed@v.example", "info-x@v.example") == [REFUSE] * 3

    @pytest.mark.parametrize(
        ("default", "nobody", "gone"),
        [
            (VDELIVERMAIL + " bounce-no-mailbox\n", REFUSE, REFUSE),
            (VDELIVERMAIL + " delete\n", PASS, REFUSE),
            (VDELIVERMAIL + " /home/vpopmail/domains/v.example/anna\n", PASS, REFUSE),
            (VDELIVERMAIL + " catch@elsewhere.example", PASS, REFUSE),
            (
                "# comment\n\n|/usr/bin/spamc | /home/vpopmail/bin/vdelivermail '' 'bounce-no-mailbox'\n",
                REFUSE,
                REFUSE,
            ),
            ("|preline -f maildrop-vpopmail bounce-no-mailbox\n", REFUSE, REFUSE),
            ("&postmaster@elsewhere.example\n", PASS, PASS),
            ("./Maildir/\n", PASS, PASS),
            ("", PASS, PASS),
            ("|exit 100\n", REFUSE, REFUSE),
            ("|/var/qmail/bin/bouncesaying 'No such user'\n", REFUSE, REFUSE),
            ("|bouncesaying 'Blocked' grep -q spam\n", PASS, PASS),
            ("|exit 0\n", PASS, PASS),
            ("&anna@v.example\n|exit 100\n", PASS, PASS),
        ],
    )
    def test_what_default_says(self, site: MailSite, default: str, nobody: int, gone: int) -> None:
        site.write("domains/v.example/.qmail-default", default)
        assert site.resident("nobody@v.example", "gone@v.example") == [nobody, gone]

    def test_extension_of_an_account(self, site: MailSite) -> None:
        recipients = ["anna-shop@v.example", "anna-a-b@v.example", "gone-x@v.example"]
        assert site.resident(*recipients, VCHKUSER_BREAK="-") == [PASS, PASS, REFUSE]
        assert site.resident(*recipients) == [REFUSE] * 3

    def test_accounts_elsewhere(self, site: MailSite) -> None:
        (site.home / "domains/v.example/vpasswd").unlink()
        site.write("accounts", "anna@v.example\n")
        assert site.resident("anna@v.example", "nobody@v.example") == [REFUSE, REFUSE]
        both = site.resident("anna@v.example", "nobody@v.example", VCHKUSER_SOURCES="vpopmail,text:accounts")
        assert both == [PASS, REFUSE]

    def test_assign_without_a_cdb(self, site: MailSite) -> None:
        (site.home / "users/cdb").unlink()
        assert site.resident("anna@v.example", "nobody@v.example") == [PASS, REFUSE]

    def test_other_domains_are_not_its_own(self, site: MailSite) -> None:
        recipients = ["x@local.example", "x@virtual.example", "x@elsewhere.example"]
        assert site.resident(*recipients, VCHKUSER_SOURCES="vpopmail") == [PASS] * 3

    def test_directory_gone(self, site: MailSite) -> None:
        (site.home / "domains").rename(site.home / "moved")
        done = site.ask("anna@v.example")
        assert done.returncode == DEFER
        assert b"domains/v.example: no such directory" in done.stderr


class TestPermissions:
    """What the checker's user may not see; root has to do without its privileges for that."""

    MORTAL = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()

    def test_domain_directory(self, site: MailSite) -> None:
        (site.home / "domains").chmod(0)
        done = site.ask("anna@v.example", *self.MORTAL)
        (site.home / "domains").chmod(0o755)
        assert done.returncode == DEFER
        assert b"/domains/v.example: Permission denied" in done.stderr

    def test_accounts(self, site: MailSite) -> None:
        (site.home / "domains/v.example/vpasswd").chmod(0)
        done = site.ask("anna@v.example", *self.MORTAL)
        assert done.returncode == DEFER
        assert b"/vpasswd: Permission denied" in done.stderr

    def test_a_file_that_is_there_delivers(self, site: MailSite) -> None:
        site.write("alias/.qmail-private", "|exit 100\n").chmod(0)
        assert site.code("private@local.example", *self.MORTAL) == PASS

    def test_control_files(self, site: MailSite) -> None:
        (site.home / "control/virtualdomains").chmod(0)
        assert site.code("anna@v.example", *self.MORTAL) == DEFER
