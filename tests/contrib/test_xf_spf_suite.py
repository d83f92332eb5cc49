"""xf-spf against RFC 7208's public test suite, read from pyspf's source package; the records come from a real server.

tests/needs brings the package, from which nothing is copied here.
"""

import sys
import tarfile
import types
from pathlib import Path

import pytest
import spf
import yaml

from tests.checkerforms import CHECKERS
from tests.nameserver import serving

PACKAGES = Path(sys.prefix) / "sdists"
DEFAULT = "explained by default"


def scenarios():
    """Return the documents of the suite."""
    (package,) = PACKAGES.glob("pyspf-*.tar.gz")
    with tarfile.open(package) as archive:
        (member,) = [name for name in archive.getnames() if name.endswith("/rfc7208-tests.yml")]
        return list(yaml.safe_load_all(archive.extractfile(member).read()))


def records(entries):
    """Return a name's records in the name server's words. As the suite says, an SPF record without TXT is one."""
    pairs = [next(iter(entry.items())) if isinstance(entry, dict) else ("SERVFAIL", None) for entry in entries]
    generate = not any(kind == "TXT" for kind, _ in pairs)
    for kind, data in [pair for pair in pairs if pair[0] != "SPF"] + [pair for pair in pairs if pair[0] == "SPF"]:
        if data == "TIMEOUT":
            yield ("TXT" if kind == "SPF" else kind), "SERVFAIL"
        elif (kind == "TXT" and data != "NONE") or (kind == "SPF" and generate):
            yield "TXT", strings(data)
        elif kind not in ("TXT", "SPF"):
            yield kind, data


def strings(data):
    """Return TXT data as strings of at most 255 octets."""
    texts = [text.encode() for text in ([data] if isinstance(data, str) else data)]
    return [text[start : start + 255] for text in texts or [b""] for start in range(0, len(text) or 1, 255)]


def zone(scenario):
    """Return the zone of a scenario."""
    return {name: list(records(entries)) for name, entries in scenario["zonedata"].items()}


SUITE = scenarios()
CASES = [
    pytest.param(number, name, id=f"{scenario['description']}: {name}".replace(" ", "_"))
    for number, scenario in enumerate(SUITE)
    for name in scenario["tests"]
]


@pytest.fixture(scope="module")
def checker():
    module = types.ModuleType("xf_spf")
    module.__file__ = str(CHECKERS / "xf-spf")
    exec(compile(Path(module.__file__).read_text(), module.__file__, "exec"), vars(module))
    with pytest.MonkeyPatch.context() as patch:  # it is a program, and leaves pyspf as it wants it for itself
        for name in ("DNSLookup", "MAX_VOID_LOOKUPS"):
            patch.setattr(spf, name, getattr(spf, name))
        yield module


@pytest.fixture(scope="module")
def nameservers():
    """Return a function that gives the server of a scenario, started once."""
    running = {}

    def of(number):
        if number not in running:
            manager = serving(zone(SUITE[number]))
            running[number] = (manager, manager.__enter__())
        return running[number][1]

    yield of
    for manager, _ in running.values():
        manager.__exit__(None, None, None)


@pytest.mark.parametrize(("number", "name"), CASES)
def test_rfc_7208(checker, nameservers, number, name):
    case = SUITE[number]["tests"][name]
    env = {
        "XF_NAMESERVER": nameservers(number).address,
        "TCPREMOTEIP": case["host"],
        "REMOTEMF": case["mailfrom"],
        "REMOTEHELO": case["helo"],
        "SPFEXP": DEFAULT,
        "SPFHOST": "receiver.example",
    }
    result, by, _, query = checker.evaluate(checker.Envelope(env), env, 1)
    assert by == ""
    assert result in (case["result"] if isinstance(case["result"], list) else [case["result"]])
    if "explanation" in case:
        told = checker.explanation(result, query, env)
        wanted = case["explanation"]
        assert told == (DEFAULT if wanted == "DEFAULT" else f"SPF fail: {query.o} explains: {wanted}")
