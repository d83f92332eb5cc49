"""Our server and the C qmail-smtpd make the same of every stream, but for the deliberate differences.

QMAILFORK_NIGHT=20000 tries that many streams, other ones at each run (how to have one again is printed where it
fails), in rounds: hypothesis remembers all that it tried in one, and ends a round with the first fault.
"""

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential import streams
from tests.differential.compare import Comparison, compare, first_parting
from tests.differential.deliberate import WRAPPING, excuse
from tests.differential.recorded import Recorded, load
from tests.differential.servers import OnSocket, Ours, Reference
from tests.differential.sites import SITES, Site
from tests.servers import reference_there

NIGHT = int(os.environ.get("QMAILFORK_NIGHT", "0"))
DAY = 200
ROUND = 500
ROUNDS = pytest.mark.parametrize("round", range(max(NIGHT // (2 * ROUND), 1)))
BUDGET = settings(
    max_examples=ROUND if NIGHT else DAY // 2,
    derandomize=not NIGHT,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
BY_RULES = [site for site in SITES.values() if None not in site.env.values()]  # what rules can say
NAMED = [site for site in SITES.values() if site.name != "odd"]  # its own name cannot stand in an address
SITE = st.sampled_from(list(SITES.values()))

if reference_there():

    @pytest.mark.timeout(0 if NIGHT else 300)
    @ROUNDS
    @BUDGET
    @given(site=SITE, stream=streams.SESSION)
    def test_streams_of_the_grammar(ours: Ours, theirs: Reference, round: int, site: Site, stream: bytes) -> None:
        agree(ours, theirs, site, stream)

    @pytest.mark.timeout(0 if NIGHT else 300)
    @ROUNDS
    @BUDGET
    @given(site=SITE, stream=streams.mutated())
    def test_mutated_streams(ours: Ours, theirs: Reference, round: int, site: Site, stream: bytes) -> None:
        agree(ours, theirs, site, stream)

    @pytest.mark.timeout(0 if NIGHT else 300)
    @ROUNDS
    @settings(BUDGET, max_examples=2 * ROUND if NIGHT else DAY // 2)
    @given(site=st.sampled_from(NAMED), stream=st.one_of(streams.SESSION, streams.mutated()))
    def test_in_front_of_the_reference(
        wrapping: Reference, theirs: Reference, round: int, site: Site, stream: bytes
    ) -> None:
        comparison = compare(site, stream, theirs.run, wrapping.run, WRAPPING)
        assert comparison.agree, comparison.describe(site)


@pytest.mark.timeout(0 if NIGHT else 300)
@ROUNDS
@settings(BUDGET, max_examples=2 * ROUND if NIGHT else DAY // 5)
@given(site=st.sampled_from(BY_RULES), stream=st.one_of(streams.SESSION, streams.mutated()))
def test_our_warm_servers_do_as_the_cold_one(ours: Ours, warm: OnSocket, round: int, site: Site, stream: bytes) -> None:
    cold = ours.run(site, stream)
    comparison = Comparison(stream, replace(cold, status=0), warm.run(site, stream), ())
    assert comparison.agree, comparison.describe(site)


@pytest.mark.parametrize("recorded", load(), ids=lambda recorded: recorded.name)
def test_what_the_reference_made_of_a_fixed_sample(ours: Ours, recorded: Recorded) -> None:
    site = SITES[recorded.site]
    outcome = ours.run(site, recorded.stream)
    parting = first_parting(recorded.stream, recorded.outcome, outcome)
    if not recorded.difference:
        comparison = Comparison(recorded.stream, recorded.outcome, outcome, ())
        assert comparison.agree, comparison.describe(site)
    else:
        assert parting is not None
        excused = excuse(parting[1].octets, parting[1].reply, site)
        assert excused is not None
        assert excused.name == recorded.difference


def agree(ours: Ours, theirs: Reference, site: Site, stream: bytes) -> None:
    comparison = compare(site, stream, theirs.run, ours.run)
    assert comparison.agree, comparison.describe(site)
