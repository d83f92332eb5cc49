"""Records what the C qmail-smtpd makes of a sample of streams: python -m tests.differential.record [STREAMS]

As root, where it is installed. The streams come from the same seed each time; those on which we differ by mistake
are named and left out.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.differential import streams
from tests.differential.compare import compare, first_parting
from tests.differential.deliberate import excuse
from tests.differential.recorded import FILE, Recorded, save
from tests.differential.servers import Ours, Reference
from tests.differential.sites import SITES, Site
from tests.servers import REFERENCE
from tests.support import QmailHome, build_fakes

LONGEST = 800  # octets of a stream, to keep the file small


def record(ours: Ours, theirs: Reference, count: int) -> list[Recorded]:
    """A sample of about `count` streams."""
    sample: list[Recorded] = []

    def take(site: Site, stream: bytes) -> None:
        theirs_now, ours_now = theirs.run(site, stream), ours.run(site, stream)
        parting = first_parting(stream, theirs_now, ours_now)
        excused = excuse(parting[1].octets, parting[1].reply, site) if parting else None
        if excused:
            sample.append(Recorded(len(sample), site.name, stream, theirs_now, excused.name))
        compared = compare(site, stream, theirs.run, ours.run)
        if compared.agree:
            sample.append(Recorded(len(sample), site.name, compared.stream, compared.theirs, ""))
        else:
            print(compared.describe(site), file=sys.stderr)

    for part in (streams.SESSION, streams.mutated()):
        run_examples(part.filter(lambda stream: len(stream) <= LONGEST), take, count // 2)
    return sample


def run_examples(part: streams.Octets, take: Callable[[Site, bytes], None], count: int) -> None:
    """Calls `take` with that many streams of `part`."""

    @seed(1095)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(site=st.sampled_from(list(SITES.values())), stream=part)
    def each(site: Site, stream: bytes) -> None:
        take(site, stream)

    each()


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        fakes = build_fakes(Path(directory) / "fakes")
        ours = Ours(QmailHome(Path(directory) / "ours", fakes))
        with Reference(QmailHome(Path(directory) / "theirs", fakes), [str(REFERENCE)]) as theirs:
            sample = record(ours, theirs, int(sys.argv[1]) if sys.argv[1:] else 300)
    save(sample)
    print(f"{FILE}: {len(sample)} streams")


if __name__ == "__main__":
    main()
