"""softfail's decisions: one table of scenarios, and chance, against every store."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xfgreylist import keys, stores
from xfgreylist.check import question
from xfgreylist.forget import concerns
from xfgreylist.policy import Ask, Decision, Limits, Record, decide
from xfgreylist.settings import Settings

from tests import storeservers

START = 1_700_000_000  # Unix time of second 0
SCENARIOS = pathlib.Path(__file__).with_name("softfail_scenarios.txt").read_text(encoding="utf-8")
PATIENCE = 60.0  # seconds: the machine may be busy

Store = stores.Store if stores.TYPE_CHECKING else object


def scenarios() -> dict[str, list[str]]:
    """Return the lines of each scenario by its title."""
    found: dict[str, list[str]] = {}
    for line in SCENARIOS.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] != " ":
            title = line
            found[title] = []
        else:
            found[title].append(line.strip())
    return found


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """All kinds of store, by name."""
    place = tmp_path_factory.mktemp("stores")
    for name in ("redis", "cluster"):
        (place / name).mkdir()
    with (
        storeservers.redis(place / "redis") as redis,
        storeservers.redis_cluster(place / "cluster") as cluster,
        storeservers.postgresql() as postgresql,
    ):
        yield {
            "sqlite": f"sqlite:{place}/softfail.db",
            "redis": redis.address,
            "cluster": cluster.address,
            "postgresql": postgresql.address,
        }


@pytest.fixture(scope="module", params=["sqlite", "redis", "cluster", "postgresql"])
def opened(addresses: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store of each kind in turn."""
    store = stores.connect(addresses[request.param], PATIENCE)
    yield store
    store.close()


def emptied(store: Store) -> Store:
    """Return the store with nothing in it."""
    store.strike([entry.name for entry in store.lists()])
    store.remove([record.key for record in store.records()])
    return store


def asked(words: list[str], limits: Limits, learn: bool) -> Ask:
    """Return the question of a scenario's line."""
    seconds, address, sender, recipient = words
    env = {
        "TCPREMOTEIP": address,
        "REMOTEMF": "" if sender == "<>" else sender,
        "REMOTERCPT": recipient,
    }
    ask = question(env, Settings(env), START + int(seconds))
    ask.limits, ask.learn = limits, learn
    return ask


def command(store: Store, verb: str, kind: str, value: str) -> None:
    """Do what the command of that name does."""
    names = keys.entries(kind, value)
    if verb == "forget":
        store.strike(names)
        about = concerns(names)
        store.remove([record.key for record in store.records() if about(record)])
    else:
        store.enter([stores.Entry(name, verb, START) for name in names])


@pytest.mark.parametrize("title", scenarios())
def test_scenario(opened: Store, title: str) -> None:
    store, limits = emptied(opened), Limits()
    for line in scenarios()[title]:
        words = line.split()
        if words[0] == "with":
            limits = Limits(**{name: int(value) for name, value in (word.split("=") for word in words[1:])})
        elif words[0] in ("allow", "deny", "forget"):
            command(store, *words)
        else:
            learn = words[0] != "peek"
            before, after = line.removeprefix("peek").split(" -> ")
            decision = store.check(asked(before.split(), limits, learn))
            said = f"{decision.reason} {decision.seconds} {decision.entry}".strip()
            assert said == after, line


class Model:
    """The rules over a dict: what the stores with rules of their own must agree with."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def check(self, ask: Ask) -> Decision:
        living = {key: record for key, record in self.records.items() if record.expires > ask.now}
        decision, changed = decide(ask, None, *(living.get(key) or Record(key) for key in ask.names()))
        self.records.update({record.key: record for record in changed})
        return decision


Step = tuple[int, str, str, str, bool]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 10, 69, 70, 71, 100, 300, 1000, 5000]),  # seconds after the step before
        st.sampled_from(["192.0.2.1", "192.0.2.2", "198.51.100.1"]),
        st.sampled_from(["a@x.org", "b@x.org", "a@z.org", "<>"]),
        st.sampled_from(["c@y.org", "d@y.org"]),
        st.booleans(),
    ),
    max_size=40,
)
LIMITS = st.builds(
    Limits,
    unblock=st.sampled_from([0, 100, 300]),
    insist=st.integers(0, 3),
    block=st.sampled_from([100, 1000]),
    retry=st.sampled_from([500, 5000]),
    keep=st.sampled_from([2000, 20000]),
    white_client=st.integers(0, 3),
    white_domain=st.integers(0, 3),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, limits=LIMITS)
def test_store_agrees_with_the_rules(opened: Store, steps: list[Step], limits: Limits) -> None:
    store, model, now = emptied(opened), Model(), 0
    for after, *words, learn in steps:
        now += after
        decisions = [place.check(asked([str(now), *words], limits, learn)) for place in (store, model)]
        assert decisions[0].reason == decisions[1].reason
        assert decisions[0].seconds == decisions[1].seconds
    mine = {record.key: record.values() for record in store.records() if record.expires > START + now}
    theirs = {key: record.values() for key, record in model.records.items() if record.expires > START + now}
    assert mine == theirs
