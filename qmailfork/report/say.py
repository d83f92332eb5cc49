"""What the numbers mean, in words: the same in a terminal and on a page."""

from qmailfork.report.summary import Checker, Summary, Table

INEXACT = "Too many names to keep them all: rare ones are summed up, and a number may lack a few of its own."
SHOWN = 12  # checkers


def share(part: int, whole: int) -> str:
    """Per cent, as people read them."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 or not part else f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"


def milliseconds(value: float | None) -> str:
    """A time to two digits and a half."""
    if value is None:
        return "-"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def seconds(value: float) -> str:
    """How long somebody was away."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def lines(summary: Summary) -> str:
    """What was read."""
    count = summary.lines
    words = [f"{count['lines']:,} line{'' if count['lines'] == 1 else 's'} read"]
    for name, meaning in (
        ("broken", "broken"), ("unfinished", "without an end"), ("outside", "outside the time asked for"),
        ("undated", "without a time"), ("others", "of other programs"),
    ):  # fmt: skip
        if count[name]:
            words.append(f"{count[name]:,} {meaning}")
    if not summary.total:
        words.append("no recipient was decided on")
    return ", ".join(words) + "."


def tables(summary: Summary) -> list[tuple[str, Table]]:
    """The tables by name."""
    return [
        ("By recipient's domain", summary.recipients),
        ("By sender's domain", summary.senders),
        ("By client's network", summary.networks),
    ]


def deciders(summary: Summary) -> list[Checker]:
    """Who refused, deferred or failed."""
    return [one for one in summary.checkers if one.refused or one.deferred or one.failed][:SHOWN]


def slowest(summary: Summary) -> list[Checker]:
    """Checkers whose times the log has, the slowest first."""
    timed = [one for one in summary.checkers if one.p95 is not None]
    return sorted(timed, key=lambda one: -(one.p95 or 0.0))[:SHOWN]


def shadows(summary: Summary) -> list[tuple[str, str]]:
    """Each checker on trial, and what it would have done."""
    return [
        (
            one.checker,
            f"would have refused {one.refused:,}; {one.accepted:,} of them ({share(one.accepted, one.refused)}) were "
            f"accepted, {one.known:,} from senders whose other mail it lets in.",
        )
        for one in summary.shadows
    ]


def comebacks(summary: Summary) -> list[tuple[str, str]]:
    """Each checker that deferred, and who came again."""
    found = []
    for one in summary.comebacks:
        words = f"deferred {one.deferred:,}; {one.accepted:,} ({share(one.accepted, one.deferred)}) came back and were "
        words += "accepted"
        if one.p50 is not None and one.p90 is not None:
            words += f", half of them within {seconds(one.p50)}, nine of ten within {seconds(one.p90)}"
        words += f"; {one.missing:,} have not come back"
        found.append((one.checker, words + (f", {one.refused:,} were refused then." if one.refused else ".")))
    return found
