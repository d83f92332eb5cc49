"""Our servers and the C qmail-smtpd make the same of every stream, but for the deliberate differences.

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
from tests.differential.servers import Ours, Servers
from tests.differential.sites import SITES, Site

NIGHT = int(os.environ.get("QMAILFORK_NIGHT", "0"))
DAY = 120
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
SITE = st.sampled_from(list(SITES.values()))


@pytest.mark.timeout(0 if NIGHT else 300)
@ROUNDS
@BUDGET
@given(site=SITE, stream=streams.SESSION)
def test_streams_of_the_grammar(servers: Servers, round: int, site: Site, stream: bytes) -> None:
    agree(servers, site, stream)


@pytest.mark.timeout(0 if NIGHT else 300)
@ROUNDS
@BUDGET
@given(site=SITE, stream=streams.mutated())
def test_mutated_streams(servers: Servers, round: int, site: Site, stream: bytes) -> None:
    agree(servers, site, stream)


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


def agree(servers: Servers, site: Site, stream: bytes) -> None:
    """All servers make the same of the stream: ours as the C server where it is there, the warm ones as the cold one,
    and the C server with us in front of it as without.
    """
    if servers.theirs is None or servers.wrapping is None:
        met = Comparison(stream, *[servers.ours.run(site, stream)] * 2, ())
    else:
        met = compare(site, stream, servers.theirs.run, servers.ours.run)
        assert met.agree, met.describe(site)
        if site.wrappable:
            wrapped = compare(site, stream, servers.theirs.run, servers.wrapping.run, WRAPPING)
            assert wrapped.agree, f"wrapped: {wrapped.describe(site)}"
    for warm in servers.warm if site.by_rules else ():
        served = Comparison(met.stream, replace(met.ours, status=0), warm.run(site, met.stream), ())
        assert served.agree, f"{warm.driver.name}: {served.describe(site)}"
