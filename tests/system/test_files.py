"""Small files, read as qmail's control.c reads them (system/files.py)."""

import os
from pathlib import Path

import pytest

from qmailfork.conversation.settings import ControlFault
from qmailfork.system import files


def write(directory: Path, text: bytes) -> bytes:
    file = directory / "control"
    file.write_bytes(text)
    return bytes(file)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"mail.joedomain.net\n", b"mail.joedomain.net"),
        (b"mail.joedomain.net", b"mail.joedomain.net"),
        (b"one\ntwo\n", b"one"),
        (b"one \t \n", b"one"),
        (b"  one\n", b"  one"),
        (b"# one\n", b"# one"),  # the first line knows no comments
        (b"one\r\n", b"one\r"),
        (b"\none\n", b""),
        (b"", b""),
        (b"\xff\x00x\n", b"\xff\x00x"),
    ],
)
def test_first_line(tmp_path: Path, text: bytes, line: bytes) -> None:
    assert files.first_line(write(tmp_path, text)) == line


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a \n\t\n\n# c\n#d\n  e\n", [b"a", b"  e"]),
        (b"", []),
        (b"\n\n", []),
        (b"a#b\n", [b"a#b"]),
    ],
)
def test_lines(tmp_path: Path, text: bytes, lines: list[bytes]) -> None:
    assert files.lines(write(tmp_path, text)) == lines


def test_a_long_file_is_read_whole(tmp_path: Path) -> None:
    text = b"".join(b"%d.example\n" % number for number in range(50000))
    assert files.lines(write(tmp_path, text)) == text.split()


def test_no_file_is_none(tmp_path: Path) -> None:
    path = bytes(tmp_path / "none")
    assert files.read(path) is files.first_line(path) is files.lines(path) is None


@pytest.mark.parametrize("read", [files.read, files.first_line, files.lines])
def test_a_directory_is_a_fault_that_names_it(tmp_path: Path, read: object) -> None:
    with pytest.raises(ControlFault, match=f"^{tmp_path}: Is a directory$"):
        read(bytes(tmp_path))  # type: ignore[operator]


def test_what_is_no_directory_on_the_way_is_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path, b"x")
    with pytest.raises(ControlFault, match="control/me: Not a directory"):
        files.read(path + b"/me")


def test_a_name_that_is_no_utf_8_does_no_harm(tmp_path: Path) -> None:
    path = bytes(tmp_path) + b"/\xff"
    os.mkdir(path)
    with pytest.raises(ControlFault) as fault:
        files.read(path)
    assert str(fault.value).encode(errors="surrogateescape") == path + b": Is a directory"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = os.dup(0)
    os.close(before)
    files.read(write(tmp_path, b"x"))
    with pytest.raises(ControlFault):
        files.read(bytes(tmp_path))
    after = os.dup(0)
    os.close(after)
    assert before == after


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"1200", 1200),
        (b"0", 0),
        (b"007", 7),
        (b"23 octets", 23),
        (b"23k", 23),
        (b"4294967296", 4294967296),
        (b"9" * 40, int("9" * 20)),
        (b"", None),
        (None, None),
        (b"x", None),
        (b" 5", None),
        (b"-5", None),
        (b"+5", None),
    ],
)
def test_number(text: bytes | None, number: int | None) -> None:
    assert files.number(text) == number
