"""Our server and the C qmail-smtpd make the same of every stream, but for the deliberate differences.

QMAILFORK_NIGHT=20000 tries that many streams, other ones at each run (the seed is printed on failure).
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential import streams
from tests.differential.compare import compare
from tests.differential.servers import Ours, Reference
from tests.differential.sites import SITES, Site
from tests.servers import reference_there

NIGHT = int(os.environ.get("QMAILFORK_NIGHT", "0"))
DAY = 300
BUDGET = settings(
    max_examples=(NIGHT or DAY) // 2,
    derandomize=not NIGHT,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
SITE = st.sampled_from(list(SITES.values()))

if reference_there():

    @pytest.mark.timeout(0 if NIGHT else 300)
    @BUDGET
    @given(site=SITE, stream=streams.SESSION)
    def test_streams_of_the_grammar(ours: Ours, theirs: Reference, site: Site, stream: bytes) -> None:
        agree(ours, theirs, site, stream)

    @pytest.mark.timeout(0 if NIGHT else 300)
    @BUDGET
    @given(site=SITE, stream=streams.mutated())
    def test_mutated_streams(ours: Ours, theirs: Reference, site: Site, stream: bytes) -> None:
        agree(ours, theirs, site, stream)


def agree(ours: Ours, theirs: Reference, site: Site, stream: bytes) -> None:
    comparison = compare(site, stream, theirs.run, ours.run)
    assert comparison.agree, comparison.describe(site)
