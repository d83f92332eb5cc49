"""The patterns of spamcontrol's lists (programs/patterns.py)."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmailfork.programs.patterns import LONGEST, Pattern, Patterns


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (b"", b"", True),
        (b"", b"a", False),
        (b"*", b"", True),
        (b"*", b"anything", True),
        (b"a*b*c", b"a--b--c", True),
        (b"a*b*c", b"a--c--b", False),
        (b"**x**", b"x", True),
        (b"?", b"", False),
        (b"?", b"a", True),
        (b"*?", b"ab", True),
        (b"*@earthlink.net", b"fred@earthlink.net", True),
        (b"*@earthlink.net", b"fred@earthlink.network", False),
        (b"[0-9][0-9]@*", b"12@x", True),
        (b"[0-9][0-9]@*", b"1a@x", False),
        (b"[^0-9]", b"a", True),
        (b"[^0-9]", b"1", False),
        (b"[]]", b"]", True),
        (b"[^]]", b"]", False),
        (b"[-a]", b"-", True),
        (b"[a-]", b"-", True),
        (b"[a-c-]", b"b", True),
        (b"[z-a]", b"m", False),
        (b"[a", b"[a", True),  # no class without an end
        (b"[", b"[", True),
        (b"a[", b"a[", True),
        (b"\\*", b"*", True),
        (b"\\*", b"a", False),
        (b"\\[x\\]", b"[x]", True),
        (b"a\\", b"a\\", True),
        (b"*%*", b"a%b@c", True),
        (b"A*", b"ab", True),  # letters may be large or small
        (b"caf\xe9*", b"caf\xe9@x", True),
    ],
)
def test_pattern(pattern: bytes, text: bytes, fits: bool) -> None:
    assert Pattern(pattern).matches(text) is fits


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_without_classes_a_pattern_is_the_shells(pattern: str, text: str) -> None:
    assert Pattern(pattern.encode()).matches(text.encode()) is fnmatch.fnmatchcase(text, pattern)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_octets_are_a_pattern(pattern: bytes, text: bytes) -> None:
    assert Pattern(pattern).matches(text.lower()) in (True, False)


def test_many_stars_cost_little() -> None:
    """A client that knows the pattern cannot keep the server busy: backtracking would not end within the year."""
    assert not Pattern(b"*a" * 40 + b"b").matches(b"a" * LONGEST)


def test_the_last_that_matches_decides() -> None:
    patterns = Patterns([b"*", b"!", b"!*@*.*", b"*viagra*"])
    assert [patterns.catch(text) for text in (b"joe", b"", b"joe@a.b", b"viagra@a.b")] == [True, False, False, True]


def test_a_plain_line_is_a_name_and_no_pattern() -> None:
    patterns = Patterns([b"Joe@Joedomain.net", b"!jim"])
    assert patterns.names(b"joe@joedomain.net")
    assert not patterns.catch(b"joe@joedomain.net")
    assert not patterns.names(b"jim")
