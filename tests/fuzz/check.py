"""Whether a conversation went as it must, whatever the client said and however it arrived."""

import re
from itertools import pairwise
from pathlib import Path
from random import Random

from qmailfork.conversation.conduct import converse
from qmailfork.system import config
from tests.fuzz import balancer, sites, words
from tests.fuzz.carrier import Carried

LINE = re.compile(rb"[2345]\d\d[ -][^\r\n]*\r\n")
STYLES = [
    config.style({b"QMAILFORK_LOG": name, b"LOGLEVEL": b"4"}) for name in (b"spamcontrol", b"qmail-ldap", b"json")
]

BY_ARRIVAL = (b"Info::TLS::Plain_Dropped",)  # plain octets behind STARTTLS: there already, or not


class Fuzz:
    """Tries inputs by their number."""

    def __init__(self, home: Path) -> None:
        self._sites = sites.read(home)

    def try_one(self, number: int) -> None:
        """Input `number`. Raises what went wrong, the number and what was said with it."""
        chance = Random(number)
        place = chance.choice(self._sites)
        said, inner, seed = words.stream(chance), words.stream(chance), chance.getrandbits(32)
        if place.proxied:
            said = balancer.header(chance) + said
        pieces, inner_pieces = words.cut(said, chance), words.cut(inner, chance)
        try:
            whole = hold(place, seed, [said], [inner])
            examine(whole, said + inner)
            compare(gist(whole), gist(hold(place, seed, pieces, inner_pieces)))
        except Exception as fault:
            fault.add_note(
                f"input {number}, site {place.name}, seed {seed}: {said!r}\nunder TLS: {inner!r}\n"
                f"in pieces {[len(piece) for piece in pieces]}"
            )
            raise


def hold(place: sites.Place, seed: int, arrivals: list[bytes], inner: list[bytes]) -> Carried:
    """The session of a client that says this, behind a load balancer where the place is."""
    facts: dict[bytes, bytes] = {}
    if place.proxied:
        told, arrivals = balancer.take(arrivals)
        if isinstance(told, str):
            refused = Carried(seed, [])
            refused.done.append(("refused", told))
            return refused
        facts = dict(balancer.facts(told))
    return Carried(seed, arrivals, inner).drive(converse(*place.session(facts)))


def gist(went: Carried) -> tuple[object, ...]:
    """All that may not depend on how the octets arrived."""
    told = [event for event in went.events if event.condition not in BY_ARRIVAL]
    events = [(event.condition, event.words, event.sender, event.recipient, event.reply) for event in told]
    return b"".join(went.said), went.done, events, went.ending.status


def compare(whole: tuple[object, ...], in_pieces: tuple[object, ...]) -> None:
    """AssertionError where it depends on how octets arrive."""
    for what, one, other in zip(("said", "done", "logged", "status"), whole, in_pieces, strict=True):
        assert one == other, f"{what}, whole:\n{one!r}\nin pieces:\n{other!r}"


def examine(went: Carried, heard: bytes) -> None:
    """AssertionError where a reply is no SMTP, or a log line no line, or tells a password.

    One that the client said in clear words, too, or called itself, is not looked for in what it was `heard` to say.
    """
    said = b"".join(went.said)
    lines = LINE.findall(said)
    assert b"".join(lines) == said, said
    codes = [line[:4] for line in lines]
    for one, other in pairwise(codes):
        assert one[3:] == b" " or one[:3] == other[:3], said
    assert not codes or codes[-1][3:] == b" ", said
    told = b"\0".join((heard, *went.users))
    secrets = [secret for secret in went.secrets if len(secret) > 5 and secret not in told]
    for event in went.events:
        for style in STYLES:
            line = style(4711, event)
            assert not line or (line.endswith(b"\n") and is_plain(line[:-1])), line
            assert not any(secret in line for secret in secrets), line


def is_plain(line: bytes) -> bool:
    return not line.strip(bytes(range(32, 127)))
