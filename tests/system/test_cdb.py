"""Lookups in a constant database (system/cdb.py), as cdb and tcprules make it; and what a damaged one leads to."""

import re
import subprocess
from pathlib import Path

import pytest

from qmailfork.conversation.settings import ControlFault
from qmailfork.system import config
from qmailfork.system.cdb import Database
from tests.support import QmailHome
from tests.ucspi import tcprules

DOMAINS = [f"{number}.example" for number in range(300)]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "more.cdb"
    records = "".join(f"+{len(name)},0:{name}->\n" for name in DOMAINS) + "\n"
    subprocess.run(["cdb", "-c", str(file)], input=records.encode(), check=True)
    return file


def test_every_record_is_found_and_nothing_else(good: Path) -> None:
    database = Database(bytes(good))
    assert all(database.get(name.encode()) == b"" for name in DOMAINS)
    assert database.get(b"300.example") is None
    assert database.get(b"") is None
    assert database.get(b"\xff" * 900) is None


def test_one_that_tcprules_made(tmp_path: Path) -> None:
    database = Database(bytes(tcprules(tmp_path, '192.0.2.:allow,RELAYCLIENT=""\n:deny\n')))
    assert database.get(b"192.0.2.") == b"+RELAYCLIENT=\0"
    assert (database.get(b"") or b"")[:1] == b"D"


def test_one_without_records(tmp_path: Path) -> None:
    file = tmp_path / "more.cdb"
    subprocess.run(["cdb", "-c", str(file)], input=b"\n", check=True)
    assert Database(bytes(file)).get(b"x") is None


def answer(file: Path, name: str) -> bytes | str | None:
    """What is found under the name, or the fault."""
    try:
        return Database(bytes(file)).get(name.encode())
    except ControlFault as fault:
        return re.sub(r"\(.*\)", "", str(fault))


@pytest.mark.parametrize("text", [b"", b"x", b"joedomain.net\n" * 1000, b"\xff" * 5000])
def test_what_is_no_cdb_is_a_fault_that_names_it(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "more.cdb"
    file.write_bytes(text)
    assert answer(file, "7.example") == f"{file}: not a readable cdb "


@pytest.mark.parametrize("part", [0.05, 0.2, 0.3, 0.5, 0.7, 0.9])
def test_one_that_was_cut_short_never_says_no(good: Path, part: float) -> None:
    whole = good.read_bytes()
    good.write_bytes(whole[: int(len(whole) * part)])
    assert {answer(good, name) for name in DOMAINS} <= {b"", f"{good}: not a readable cdb "}


@pytest.mark.parametrize("kept", [True, False])
def test_one_that_is_overwritten_in_its_place(good: Path, kept: bool) -> None:
    database = Database(bytes(good), kept)
    good.write_bytes(b"x" * 50)
    if kept:
        assert all(database.get(name.encode()) == b"" for name in DOMAINS)
        return
    for name in DOMAINS:
        with pytest.raises(ControlFault, match="not a readable cdb"):
            database.get(name.encode())


def test_none_and_a_directory_are_faults(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        for kept in (True, False):
            with pytest.raises(ControlFault, match=f"{path}: not a readable cdb"):
                Database(bytes(path), kept)


def test_the_controls_open_it_once(good: Path, home: QmailHome) -> None:
    place = home.path / "control" / "morercpthosts.cdb"
    good.rename(place)
    controls = config.Controls(bytes(home.path))
    assert controls.more_rcpthosts
    assert controls.more_rcpthosts(b"7.example")
    place.unlink()
    assert controls.more_rcpthosts(b"7.example")


def test_controls_read_again_open_the_new_one(good: Path, home: QmailHome) -> None:
    home.more_rcpthosts(["old.example"])
    assert_has(home, b"old.example", b"7.example")
    good.rename(home.path / "control" / "morercpthosts.cdb")
    assert_has(home, b"7.example", b"old.example")


def assert_has(home: QmailHome, there: bytes, absent: bytes) -> None:
    has = config.Controls(bytes(home.path)).more_rcpthosts
    assert has
    assert has(there)
    assert not has(absent)
