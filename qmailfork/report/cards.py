"""The cards of the picture: how each is drawn into the room that it has on a sheet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qmailfork.report.charts import KINDS, Bar, Chart, Part
from qmailfork.report.sheet import RULES, Sheet

INK, QUIET, RULE = "#1a2230", "#566173", "#dfe3ea"
COLOURS = {"accepted": "#1f78b4", "deferred": "#e3a008", "refused": "#c8374b"}
TITLE, BODY, SMALL = 17, 14, 13
BAR, WIDEST = 6, 40  # how high a bar is in a table, and how wide at most in the timeline
HEIGHT = 220  # of the timeline
BETWEEN, STACKED = 18, 28  # two columns, two cards in one


@dataclass(frozen=True)
class Room:
    """Where a card's content begins, and how wide it may be."""

    left: float
    top: float
    width: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.left + self.width


Draw = Callable[[Sheet, Room], float]  # where the content ends


@dataclass(frozen=True)
class Row:
    """A line of a table; `parts` are its bar, None where the table has none."""

    name: str
    cells: Sequence[str]
    parts: list[Part] | None = None


def table(title: str, head: Sequence[str], rows: Sequence[Row], note: str = "") -> Draw:
    """A table whose first column has names, and whose others have numbers."""

    def draw(sheet: Sheet, room: Room) -> float:
        edges = _edges(sheet, room, head, rows)
        named = edges[0]
        y = _title(sheet, room, title)
        sheet.text(room.left, y + 13, sheet.fitted(head[0], named - room.left, SMALL), SMALL, QUIET)
        for edge, words in zip(edges[1:], head[1:], strict=True):
            sheet.text(edge, y + 13, words, SMALL, QUIET, right=True)
        y += 22
        for row in rows:
            sheet.box(room.left, y, room.width, 1, RULE, RULES)
            y = _row(sheet, Room(room.left, y, named - room.left), row, edges[1:])
        return _lines(sheet, room, y + 4, note) if note else y

    return draw


def _edges(sheet: Sheet, room: Room, head: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """Where each column ends."""
    edges = [room.right]
    for at in range(len(head) - 1, 0, -1):
        widest = max(sheet.measured(row.cells[at - 1], BODY) for row in rows)
        edges.insert(0, edges[0] - max(widest, sheet.measured(head[at], SMALL)) - BETWEEN)
    return edges


def _row(sheet: Sheet, room: Room, row: Row, edges: Sequence[float]) -> float:
    barred = row.parts is not None
    sheet.text(room.left, room.top + 20, sheet.fitted(row.name, room.width, BODY), BODY, INK)
    for edge, words in zip(edges, row.cells, strict=True):
        sheet.text(edge, room.top + (25 if barred else 20), words, BODY, INK, right=True)
    if barred:
        sheet.box(room.left, room.top + 27, room.width, BAR, RULE, RULES)
    for part in row.parts or ():
        left, width = (room.width * share / 100 for share in (part.at, part.size))
        sheet.box(room.left + left, room.top + 27, width, BAR, COLOURS[part.kind])
    return room.top + (40 if barred else 30)


def facts(title: str, told: Sequence[tuple[str, str]], note: str = "") -> Draw:
    """Names, and a sentence about each."""

    def draw(sheet: Sheet, room: Room) -> float:
        y = _title(sheet, room, title) - 4
        for name, sentence in told:
            sheet.text(room.left, y + 15, sheet.fitted(name, room.width, BODY, bold=True), BODY, INK, bold=True)
            y = _lines(sheet, room, y + 21, sentence[:1].upper() + sentence[1:], INK) + 12
        return _lines(sheet, room, y, note) if note else y - 12

    return draw


def stacked(cards: Sequence[Draw]) -> Draw:
    """One below the other."""

    def draw(sheet: Sheet, room: Room) -> float:
        y = room.top - STACKED
        for card in cards:
            y = card(sheet, Room(room.left, y + STACKED, room.width))
        return y

    return draw


def faults(told: Sequence[str]) -> Draw:
    """What went wrong."""

    def draw(sheet: Sheet, room: Room) -> float:
        y = room.top
        for sentence in told:
            y = _lines(sheet, Room(room.left + BETWEEN, y, room.width - BETWEEN), y, sentence, INK)
        sheet.box(room.left, room.top, 4, y - room.top, COLOURS["refused"])
        return y

    return draw


def timeline(chart: Chart) -> Draw:
    """What was decided, one bar after the other."""

    def draw(sheet: Sheet, room: Room) -> float:
        y = _title(sheet, room, f"Recipients by {chart.each}")
        _legend(sheet, Room(room.left, y, room.width))
        plot = _scale(sheet, Room(room.left, y + 34, room.width), chart)
        for bar in chart.bars:
            _bar(sheet, plot, bar)
        for mark in chart.columns:
            middle = plot.left + plot.width * (mark.at + 50 / len(chart.bars)) / 100
            width = sheet.measured(mark.words, SMALL)
            left = max(plot.left, min(middle - width / 2, plot.right - width))
            sheet.text(left, plot.top + HEIGHT + 20, mark.words, SMALL, QUIET)
        return plot.top + HEIGHT + 24

    return draw


def _bar(sheet: Sheet, plot: Room, bar: Bar) -> None:
    widest = plot.width * bar.width / 100
    width = min(widest, WIDEST)
    left = plot.left + plot.width * bar.left / 100 + (widest - width) / 2
    for part in bar.parts:
        sheet.box(left, plot.top + part.at * HEIGHT / 100, width, part.size * HEIGHT / 100, COLOURS[part.kind])


def _legend(sheet: Sheet, room: Room) -> None:
    left = room.left
    for kind in KINDS:
        sheet.box(left, room.top + 2, 12, 12, COLOURS[kind])
        sheet.text(left + 18, room.top + 13, kind, SMALL, QUIET)
        left += 18 + sheet.measured(kind, SMALL) + 2 * BETWEEN


def _scale(sheet: Sheet, room: Room, chart: Chart) -> Room:
    """The lines behind the bars; the room that their numbers leave."""
    gap = max(sheet.measured(mark.words, SMALL) for mark in chart.rows) + 10
    plot = Room(room.left + gap, room.top, room.width - gap)
    for mark in chart.rows:
        y = plot.top + mark.at * HEIGHT / 100
        sheet.box(plot.left, y, plot.width, 1, RULE, RULES)
        sheet.text(plot.left - 10, y + 5, mark.words, SMALL, QUIET, right=True)
    return plot


def _title(sheet: Sheet, room: Room, words: str) -> float:
    sheet.text(room.left, room.top + 14, words, TITLE, INK, bold=True)
    return room.top + 34


def _lines(sheet: Sheet, room: Room, top: float, words: str, colour: str = QUIET) -> float:
    for line in sheet.wrapped(words, room.width, BODY):
        sheet.text(room.left, top + 15, line, BODY, colour)
        top += 21
    return top
