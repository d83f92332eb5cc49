"""An env-dir, held against envdir itself."""

import os
import subprocess
from pathlib import Path

import pytest

from qmailfork.conversation.settings import ControlFault
from qmailfork.system import envdir

FILES = {
    "PLAIN": b"value\n",
    "NO_END": b"value",
    "SECOND": b"first\nsecond\n",
    "BLANKS": b"  a b \t \n",
    "EMPTY": b"\n",
    "GONE": b"",
    "LINES": b"one\0two\n",
    "554SMTPEXTFORK": b"no, never\n",
    ".hidden": b"x\n",
    "ODD": b"\xff\xfe=\r\n",
}


def test_as_envdir_has_it(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text)
    before = {b"PATH": os.environb[b"PATH"], b"GONE": b"1", b"KEPT": b"2", b"PLAIN": b"3"}
    done = subprocess.run(["envdir", tmp_path, "env", "-0"], env=before, capture_output=True, check=True)
    expected = dict(variable.split(b"=", 1) for variable in done.stdout.split(b"\0")[:-1])
    envdir.apply(os.fsencode(tmp_path), before)
    assert before == expected


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ControlFault, match="absent: No such file or directory"):
        envdir.read(os.fsencode(tmp_path / "absent"))
    (tmp_path / "sub").mkdir()
    with pytest.raises(ControlFault, match="sub: Is a directory"):
        envdir.read(os.fsencode(tmp_path))
