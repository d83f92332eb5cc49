"""vchkuser on qmail's own files: vpopmail's domains, users/cdb, system users, ~alias, .qmail files.

The account database is nss_wrapper's. Where notqmail is installed, its qmail-getpw and qmail-local are
asked the same questions.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.mailsite import DEFER, PASS, REFUSE, MailSite

LIBRARIES = ("/usr/lib/*/libnss_wrapper.so", "/usr/local/lib/libnss_wrapper.so", "/usr/lib/libnss_wrapper.so")
WRAPPER = next((str(found) for pattern in LIBRARIES for found in Path("/").glob(pattern[1:])), "")
QMAIL = Path("/var/qmail/bin")
OWNER = os.getuid() or 65534  # homes must be owned by their users, and a user is not root
VDELIVERMAIL = "| /home/vpopmail/bin/vdelivermail ''"


@pytest.fixture
def site(tmp_path: Path) -> MailSite:
    """A site with the users joe, joe-sub and alias, and vpopmail's domain v.example."""
    site = MailSite(tmp_path / "site")
    site.control("locals", "mx.example.org", "Local.example")
    site.control(
        "rcpthosts", "local.example", "v.example", "alias.example", "virtual.example", "elsewhere.example"
    )
    site.control(
        "virtualdomains", "v.example:v.example", "Alias.example:alias.example", "virtual.example:joe-virtual"
    )
    users(site)
    vpopmail(site)
    return site


def users(site: MailSite) -> None:
    """Give the site an account database: nss_wrapper is told of it, and preloaded."""
    names = {
        "alias": "alias",
        "joe": "home/joe",
        "joe-sub": "home/joe-sub",
        "homeless": "home/none",
        "Upper": "home/joe",
    }
    lines = [f"{name}:x:{OWNER}:{OWNER}::{site.home}/{home}:/bin/sh" for name, home in names.items()]
    lines += [
        f"root:x:0:0::{site.home}/home/root:/bin/sh",
        f"thief:x:{OWNER + 1}:1::{site.home}/home/joe:/bin/sh",
    ]
    site.env.update(
        LD_PRELOAD=WRAPPER,
        NSS_WRAPPER_PASSWD=str(site.write("passwd", "\n".join(lines) + "\n")),
        NSS_WRAPPER_GROUP=str(site.write("group", "")),
    )
    for home in ("alias", "home/joe", "home/joe-sub", "home/root"):
        (site.home / home).mkdir(parents=True)
        if os.getuid() == 0 and home != "home/root":
            os.chown(site.home / home, OWNER, OWNER)


def vpopmail(site: MailSite) -> None:
    """Give the site a vpopmail domain v.example, its other name alias.example, and users/cdb."""
    home = site.home / "domains/v.example"
    assign(site, f"+v.example-:v.example:89:89:{home}:-::", f"+alias.example-:v.example:89:89:{home}:-::")
    site.write(
        "domains/v.example/vpasswd",
        "anna:$1$x:1:0:Anna:/home/vpopmail/domains/v.example/anna:NOQUOTA\n"
        "gone:$1$x:1:16:Gone:/home/vpopmail/domains/v.example/gone:NOQUOTA\n"
        "half\n",
    )
    site.write("domains/v.example/.qmail-default", VDELIVERMAIL + " bounce-no-mailbox\n")


def assign(site: MailSite, *lines: str) -> None:
    """Write users/assign, and users/cdb as qmail-newu makes it."""
    site.write("users/assign", "".join(line + "\n" for line in (*lines, ".")))
    records, last = [], set()
    for line in lines:
        name, *fields = line[1:].encode().rstrip(b":").split(b":")
        fields += [b""] * (6 - len(fields))
        name = name.lower()
        last.add(name[-1:])
        records.append((b"!" + name + (b"\0" if line[0] == "=" else b""), b"\0".join(fields[:6])))
    site.cdb("users/cdb", [*records, (b"", b"".join(last))])


def codes(site: MailSite, *recipients: str, **env: str) -> list[int]:
    return [site.code(recipient, **env) for recipient in recipients]


def test_nss_wrapper_is_there() -> None:
    assert WRAPPER, "these tests need nss_wrapper (Debian: libnss-wrapper)"


class TestVpopmail:
    """The domain's accounts, .qmail files and .qmail-default."""

    def test_accounts(self, site: MailSite) -> None:
        recipients = ["anna@v.example", "Anna@V.Example", "anna@alias.example", "half@v.example"]
        assert codes(site, *recipients) == [PASS, PASS, PASS, REFUSE]
        assert codes(site, "nobody@v.example", "nobody@alias.example", "ann@v.example") == [REFUSE] * 3

    def test_account_that_bounces(self, site: MailSite) -> None:
        assert site.code("gone@v.example") == REFUSE

    def test_vpasswd_cdb_is_preferred(self, site: MailSite) -> None:
        site.cdb(
            "domains/v.example/vpasswd.cdb",
            [(b"berta", b"$1$x:1:0:Berta:/x:NOQUOTA"), (b"gone", b"x:1:16:::")],
        )
        assert codes(site, "berta@v.example", "gone@v.example", "anna@v.example") == [PASS, REFUSE, REFUSE]

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
        assert codes(site, *here) == [PASS] * 5
        assert codes(site, "list@v.example", "closed@v.example", "info-x@v.example") == [REFUSE] * 3

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
        assert codes(site, "nobody@v.example", "gone@v.example") == [nobody, gone]

    def test_extension_of_an_account(self, site: MailSite) -> None:
        recipients = ["anna-shop@v.example", "anna-a-b@v.example", "gone-x@v.example"]
        assert codes(site, *recipients, VCHKUSER_BREAK="-") == [PASS, PASS, REFUSE]
        assert codes(site, *recipients) == [REFUSE] * 3

    def test_accounts_elsewhere(self, site: MailSite) -> None:
        (site.home / "domains/v.example/vpasswd").unlink()
        site.write("accounts", "anna@v.example\n")
        assert codes(site, "anna@v.example", "nobody@v.example") == [REFUSE, REFUSE]
        both = codes(site, "anna@v.example", "nobody@v.example", VCHKUSER_SOURCES="vpopmail,text:accounts")
        assert both == [PASS, REFUSE]

    def test_assign_without_a_cdb(self, site: MailSite) -> None:
        (site.home / "users/cdb").unlink()
        assert codes(site, "anna@v.example", "nobody@v.example") == [PASS, REFUSE]

    def test_other_domains_are_not_its_own(self, site: MailSite) -> None:
        recipients = ["x@local.example", "x@virtual.example", "x@elsewhere.example"]
        assert codes(site, *recipients, VCHKUSER_SOURCES="vpopmail") == [PASS] * 3

    def test_directory_gone(self, site: MailSite) -> None:
        (site.home / "domains").rename(site.home / "moved")
        done = site.ask("anna@v.example")
        assert done.returncode == DEFER
        assert b"domains/v.example: no such directory" in done.stderr


class TestSystem:
    """qmail-getpw's and qmail-local's rules."""

    def test_users(self, site: MailSite) -> None:
        recipients = ["joe@local.example", "JOE@local.example", "joe-sub@local.example", "joe@LOCAL.example"]
        assert codes(site, *recipients) == [PASS] * 4
        refused = ["jim@local.example", "root@local.example", "homeless@local.example", "thief@local.example"]
        assert codes(site, *refused, "upper@local.example", "jo@local.example") == [REFUSE] * 6

    def test_extensions(self, site: MailSite) -> None:
        site.write("home/joe/.qmail-a:b", "")
        site.write("home/joe/.qmail-list-default", "&x@elsewhere.example\n")
        site.write("home/joe/.qmail-off", "|exit 100\n")
        (site.home / "home/joe/.qmail-dir").mkdir()
        here = [
            "joe-a.b@local.example",
            "Joe-A.B@local.example",
            "joe-list-x@local.example",
            "joe-list-@local.example",
        ]
        assert codes(site, *here) == [PASS] * 4
        none = [
            "joe-b@local.example",
            "joe-list@local.example",
            "joe-off@local.example",
            "joe-dir@local.example",
        ]
        assert codes(site, *none, "joe-@local.example", "joe-sub-a.b@local.example") == [REFUSE] * 6

    def test_a_default_takes_all(self, site: MailSite) -> None:
        site.write("home/joe/.qmail-default", "")
        assert codes(site, "joe-any@local.example", "joe-@local.example", "joe@local.example") == [PASS] * 3

    def test_alias(self, site: MailSite) -> None:
        site.write("alias/.qmail-postmaster", "&joe@local.example\n")
        site.write("alias/.qmail-sales-default", "")
        site.write("alias/.qmail-root", "")
        here = ["postmaster@local.example", "sales-x@local.example", "root@local.example"]
        assert codes(site, *here) == [PASS] * 3
        assert codes(site, "sales@local.example", "webmaster@local.example") == [REFUSE] * 2

    def test_virtual_domain_of_a_user(self, site: MailSite) -> None:
        site.write("home/joe/.qmail-virtual-info", "")
        assert codes(site, "info@virtual.example", "other@virtual.example") == [PASS, REFUSE]

    def test_virtual_user_and_exception(self, site: MailSite) -> None:
        site.control("virtualdomains", "boss@local2.example:joe-boss", "local2.example:", ":joe-all")
        site.control("rcpthosts", "local2.example", "any.example")
        site.write("home/joe/.qmail-boss-boss", "")
        site.write("home/joe/.qmail-all-info", "")
        recipients = ["boss@local2.example", "x@local2.example", "info@any.example", "x@any.example"]
        assert codes(site, *recipients) == [PASS, PASS, PASS, REFUSE]  # the second is delivered elsewhere

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
        assert codes(site, *here) == [PASS] * 3
        assert (
            codes(site, "shop-b@local.example", "shop-x-a@local.example", "shop@local.example")
            == [REFUSE] * 3
        )
        (site.home / "users/cdb").unlink()
        assert codes(site, *here, "shop-b@local.example") == [PASS] * 3 + [REFUSE]

    def test_percent_hack(self, site: MailSite) -> None:
        site.control("percenthack", "local.example")
        assert codes(site, "joe%local.example@local.example", "jim%local.example@local.example") == [
            PASS,
            REFUSE,
        ]
        assert site.code("jim%elsewhere.example@local.example") == PASS

    def test_empty_local_part_is_trash(self, site: MailSite) -> None:
        assert site.code("@local.example") == PASS

    def test_elsewhere_passes(self, site: MailSite) -> None:
        assert site.code("x@elsewhere.example") == PASS

    @pytest.mark.parametrize(
        "local", ["joe-../../passwd", "joe-a/b", "joe-" + "x" * 300, "joe-.", "joe-\u00e9"]
    )
    def test_names_that_are_no_files(self, site: MailSite, local: str) -> None:
        site.write("home/joe/.qmail-a/b", "")
        assert site.code(f"{local}@local.example") == REFUSE

    def test_no_alias_account(self, site: MailSite) -> None:
        passwd = site.home / "passwd"
        passwd.write_text("".join(line for line in passwd.open() if not line.startswith("alias:")))
        done = site.ask("jim@local.example")
        assert done.returncode == DEFER
        assert b"no account alias" in done.stderr


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


@pytest.mark.skipif(not QMAIL.exists(), reason="compares with notqmail's programs, where they are installed")
class TestLikeQmail:
    """The same questions to qmail-getpw(8) and qmail-local(8)."""

    LOCALS = (
        "joe", "JOE", "joe-", "joe-a.b", "joe-A.B", "joe-list-x", "joe-list", "joe-list-", "joe-dir", "joe-sub",
        "jim", "joe-sub-a", "joe-sub-list-a-b", "root", "thief", "homeless", "Upper", "upper", "postmaster",
        "sales-x", "-", "sales", "sales-", "joe-x-", "joe-x-y", "joe--", "a" * 31, "a" * 40 + "-joe", "alias",
        "alias-x", "joe+a",
    )  # fmt: skip

    @pytest.mark.parametrize("local", LOCALS)
    def test_agree(self, site: MailSite, local: str) -> None:
        for name in ("a:b", "list-default", "x-", "x--default", "-"):
            site.write(f"home/joe/.qmail-{name}", "&x@elsewhere.example\n")
        site.write("home/joe-sub/.qmail-list-a-default", "")
        (site.home / "home/joe/.qmail-dir").mkdir()
        for name in ("postmaster", "sales-default", "root", "thief"):
            site.write(f"alias/.qmail-{name}", "&x@elsewhere.example\n")
        assert site.code(f"{local}@local.example") == qmails_code(site, local)


def qmails_code(site: MailSite, local: str) -> int:
    """Return REFUSE if qmail-local -n bounces local (exit code 100), PASS if it would deliver."""
    found = subprocess.run([QMAIL / "qmail-getpw", local], env=site.env, capture_output=True, check=True)
    user, _, _, home, dash, ext, _ = found.stdout.decode().split("\0")
    question = ["-n", user, home, local, dash, ext, "local.example", "", "./Mailbox"]
    done = subprocess.run([QMAIL / "qmail-local", *question], env=site.env, capture_output=True, check=False)
    assert done.returncode in (0, 100), done.stdout
    return REFUSE if done.returncode == 100 else PASS
