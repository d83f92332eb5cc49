"""Names of decisions (programs/decision.py)."""

import re

from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs.decision import identity, sign


@given(st.binary(max_size=40), st.integers(min_value=1, max_value=10**6))
def test_a_name_can_be_read_out(session: bytes, number: int) -> None:
    name = identity(session, number)
    assert re.fullmatch(rb"[2-9bcdfghjkmnp-tv-z]{4}-[2-9bcdfghjkmnp-tv-z]{4}-[1-9][0-9]*", name)
    assert name == identity(session, 0) + b"-%d" % number


def test_sessions_that_follow_each_other_have_names_of_their_own() -> None:
    sessions = [b"%x.%x" % (pid, 0x18B2C3D4E5F60718 + moment) for pid in range(300, 320) for moment in range(2000)]
    assert len({identity(session, 0) for session in sessions}) == len(sessions)


def test_the_name_stands_at_the_end_of_the_text() -> None:
    assert sign(b"554-one\r\n554 two\r\n", b"k3m9-x2qp-1") == b"554-one\r\n554 two (k3m9-x2qp-1)\r\n"
