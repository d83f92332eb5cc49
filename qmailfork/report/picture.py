"""The report as one picture: what the page shows, in its light look."""

from collections.abc import Sequence
from dataclasses import replace

from qmailfork.report import cards, charts, say
from qmailfork.report.cards import COLOURS, INK, QUIET, RULE, Draw, Room, Row
from qmailfork.report.sheet import Sheet
from qmailfork.report.summary import Checker, Line, Summary, Table
from qmailfork.report.timeline import moment

WIDTH, MARGIN, GAP, PAD = 1600, 40, 16, 22
GROUND, PAPER = "#f5f6f8", "#ffffff"
HEADING, NUMBER, BODY = 30, 28, 14
TILE = 104  # how high
NAMES, SENTENCES = 25, 3  # at most in a card: a picture has an end
CHECKER = ("Checker or rule", "deferred", "refused", "failed")
TIMES = ("Checker", "asked", "half in", "95 %", "99 %", "worst")

Card = tuple[float, Draw]  # its share of the width


def png(summary: Summary) -> bytes:
    """The picture."""
    return draw(summary).png(f"Mail report, {_span(summary)}")


def draw(summary: Summary) -> Sheet:
    """The sheet, with all that is on it."""
    sheet = Sheet(WIDTH)
    y = _totals(sheet, summary, _head(sheet, summary))
    for row in _rows(summary):
        if row:
            y = _row(sheet, y, row)
    sheet.end(y + MARGIN - GAP, GROUND)
    return sheet


def _span(summary: Summary) -> str:
    return f"{moment(summary.first)} to {moment(summary.last)}"


def _rows(summary: Summary) -> list[list[Card]]:
    """The cards that stand beside each other."""
    chart = charts.chart(summary)
    return [
        [(1, cards.faults(_bounded(summary.faults)))] if summary.faults else [],
        [(1, cards.timeline(chart))] if chart.bars else [],
        [*_deciders(say.deciders(summary)), *_times(say.slowest(summary)), *_facts(summary)],
        [(1, _names(title, table)) for title, table in say.tables(summary) if table.lines],
    ]


def _head(sheet: Sheet, summary: Summary) -> float:
    sheet.text(MARGIN, MARGIN + 28, "Mail report", HEADING, INK, bold=True)
    sheet.text(MARGIN, MARGIN + 56, _span(summary), BODY + 2, INK)
    y = MARGIN + 80
    for line in sheet.wrapped(say.lines(summary), WIDTH - 2 * MARGIN, BODY):
        sheet.text(MARGIN, y, line, BODY, QUIET)
        y += 21
    return y


def _totals(sheet: Sheet, summary: Summary, top: float) -> float:
    tiles = [(f"Recipients {kind}", getattr(summary, kind), _share(summary, kind), COLOURS[kind]) for kind in COLOURS]
    if summary.messages["queued"]:
        words = "{message_refused:,} refused, {message_deferred:,} deferred after DATA".format(**summary.messages)
        tiles.append(("Messages queued", summary.messages["queued"], words, RULE))
    for room, tile in zip(_rooms([1] * len(tiles), top), tiles, strict=True):
        _tile(sheet, room, *tile)
    return top + TILE + GAP


def _share(summary: Summary, kind: str) -> str:
    return f"{say.share(getattr(summary, kind), summary.total)} of {summary.total:,}"


def _tile(sheet: Sheet, room: Room, title: str, number: int, words: str, colour: str) -> None:
    sheet.card(room.left, room.top, room.width, TILE, colour, colour)
    sheet.card(room.left, room.top + 4, room.width, TILE - 4, PAPER, RULE)
    left, within = room.left + PAD, room.width - 2 * PAD
    sheet.text(left, room.top + 32, title, BODY, QUIET)
    sheet.text(left, room.top + 63, f"{number:,}", NUMBER, INK, bold=True)
    sheet.text(left, room.top + 88, sheet.fitted(words, within, BODY), BODY, QUIET)


def _rooms(shares: Sequence[float], top: float) -> list[Room]:
    """Rooms beside each other, as wide as the sheet together."""
    one = (WIDTH - 2 * MARGIN - GAP * (len(shares) - 1)) / sum(shares)
    return [Room(MARGIN + at * GAP + sum(shares[:at]) * one, top, share * one) for at, share in enumerate(shares)]


def _row(sheet: Sheet, top: float, row: Sequence[Card]) -> float:
    """Cards beside each other, as high as the highest."""
    rooms = _rooms([share for share, _ in row], top)
    inner = [Room(room.left + PAD, top + PAD, room.width - 2 * PAD) for room in rooms]
    end = max(draw(sheet, room) for (_, draw), room in zip(row, inner, strict=True)) + PAD
    for room in rooms:
        sheet.card(room.left, top, room.width, end - top, PAPER, RULE)
    return end + GAP


def _deciders(found: list[Checker]) -> list[Card]:
    """Who decided; none where nobody did."""
    most = max((one.refused + one.deferred for one in found), default=0)
    lines = [Line(one.name, 0, one.refused, one.deferred) for one in found]
    rows = [
        Row(line.name, _numbers(line.deferred, line.refused, one.failed), charts.parts(line, most))
        for one, line in zip(found, lines, strict=True)
    ]
    return [(1, cards.table("Who refused and deferred", CHECKER, rows))] if rows else []


def _times(found: list[Checker]) -> list[Card]:
    """How long they took; none where the log does not say."""
    rows = [
        Row(one.name, (f"{one.asked:,}", *map(say.milliseconds, (one.p50, one.p95, one.p99, one.slowest))))
        for one in found
    ]
    return [(1.25, cards.table("How long checkers take", TIMES, rows))] if rows else []


def _facts(summary: Summary) -> list[Card]:
    """What is said in sentences, in one card."""
    titled = (("Deferred, and come back", say.comebacks(summary)), ("On trial", say.shadows(summary)))
    lists = [cards.facts(title, told[:SENTENCES], _more(told)) for title, told in titled if told]
    return [(0.9, cards.stacked(lists))] if lists else []


def _names(title: str, table: Table) -> Draw:
    table = _shortened(table)
    rows = [Row(line.name, _line(line), charts.parts(line, table.lines[0].total)) for line in table.lines]
    if table.rest.total:
        rows.append(Row(table.rest.name, _line(table.rest)))
    head = (f"{table.names:,} in all", "accepted", "deferred", "refused")
    return cards.table(title, head, rows, "" if table.exact else say.INEXACT)


def _shortened(table: Table) -> Table:
    """At most NAMES lines; the others go to the rest."""
    more = [table.rest, *table.lines[NAMES:]]
    sums = {kind: sum(getattr(line, kind) for line in more) for kind in COLOURS}
    return replace(table, lines=table.lines[:NAMES], rest=replace(table.rest, **sums))


def _line(line: Line) -> list[str]:
    return _numbers(line.accepted, line.deferred, line.refused)


def _numbers(*numbers: int) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _bounded(told: list[str]) -> list[str]:
    more = _more(told)
    return [*told[:SENTENCES], more] if more else told


def _more(told: Sequence[object]) -> str:
    """How many there is no room for."""
    return f"and {len(told) - SENTENCES:,} more" if len(told) > SENTENCES else ""
