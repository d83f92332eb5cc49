"""One recipient: from the environment to a verdict and one log line."""

from __future__ import annotations

import time

import xfkit

from xfgreylist import keys
from xfgreylist.policy import Ask, Decision
from xfgreylist.settings import Settings
from xfgreylist.stores import Pool, StoreDown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "softfail"
WORDS = {xfkit.PASS: "pass", xfkit.REFUSE: "refuse", xfkit.DEFER: "defer"}
TEXTS = {  # reason -> the reply's text
    "denied": "refused by local policy",
    "blocked": "your host has tried again too soon too often, it is refused for {} seconds",
    "insists": "your host has tried again too soon too often, it is refused for {} seconds",
    "unknown": "greylisted, please try again in {} seconds",
    "early": "greylisted, please try again in {} seconds",
}

_pool = Pool()


class Unasked(Exception):
    """An environment that poses no question; the text says what is missing."""


def check(env: Mapping[str, str]) -> xfkit.Verdict:
    """Return the verdict on the recipient in env, now. Raises nothing; what goes wrong is SOFTFAIL_DOWN's."""
    return check_at(env, int(time.time()))


def check_at(env: Mapping[str, str], now: int) -> xfkit.Verdict:
    """Return the verdict on the recipient in env at now, a Unix time in seconds."""
    settings = Settings(env)
    try:
        ask = question(env, settings, now)
        decision = decision_of(env, settings, ask)
    except (Unasked, StoreDown) as trouble:
        code = xfkit.PASS if settings.down == "pass" else xfkit.DEFER
        xfkit.log(NAME, f"{WORDS[code]} down: {trouble}")
        return xfkit.Verdict(code)
    xfkit.log(NAME, line(env, ask, decision))
    return verdict(decision)


def question(env: Mapping[str, str], settings: Settings, now: int) -> Ask:
    """Return the question that env poses. Raises Unasked."""
    address, sender, recipient = env.get("TCPREMOTEIP", ""), env.get("REMOTEMF", ""), env.get("REMOTERCPT", "")
    if not recipient:
        raise Unasked("REMOTERCPT is not set, there is no recipient to decide about")
    try:
        client = keys.network(address, settings.bits4, settings.bits6)
        host = keys.host(address, settings.bits6)
        listed = keys.candidates(address, sender, recipient)
    except ValueError:
        raise Unasked(f"TCPREMOTEIP is no IP address: {keys.plain(address)}") from None
    names = (keys.steady_word(sender), keys.steady_word(recipient), keys.domain_word(sender))
    return Ask(now, settings.limits, client, host, *names, listed)


def decision_of(env: Mapping[str, str], settings: Settings, ask: Ask) -> Decision:
    """Return the store's decision. Raises StoreDown.

    With SPF an unknown triplet is first asked for without a trace; then it is written down under the domain that
    vouches for it, if one does, so that a pool of hosts counts as one client.
    """
    ask.learn = not settings.spf
    decision = _pool.check(settings.store, ask, settings.seconds)
    if decision.reason != "unknown" or ask.learn:
        return decision
    from xfgreylist.spf import authenticated  # noqa: PLC0415  # 100 ms that only an unknown triplet pays

    domain = authenticated(env, settings.spf_seconds)
    if domain:
        ask.client = f"spf:{domain}"
    ask.learn = True
    return _pool.check(settings.store, ask, settings.seconds)


def line(env: Mapping[str, str], ask: Ask, decision: Decision) -> str:
    """Return the log line: what was decided, why, and about whom, no field with a blank in it."""
    fields = [WORDS[decision.code], decision.reason, f"ip={keys.plain(env['TCPREMOTEIP'])}"]
    fields += [f"client={ask.client}", f"sender={keys.word(env.get('REMOTEMF', ''))}"]
    fields.append(f"recipient={keys.word(env['REMOTERCPT'])}")
    if decision.seconds:
        fields.append(f"{'waited' if decision.reason == 'ripe' else 'wait'}={decision.seconds}")
    if decision.entry:
        fields.append(f"entry={decision.entry}")
    return " ".join(fields)


def verdict(decision: Decision) -> xfkit.Verdict:
    """Return what the checker says: the decision's code, a text for the client, a header for a delayed message."""
    text = TEXTS.get(decision.reason, "").format(decision.seconds)
    delayed = (f"X-Greylist: delayed {decision.seconds} seconds by {NAME}",) if decision.reason == "ripe" else ()
    return xfkit.Verdict(decision.code, text, delayed)
