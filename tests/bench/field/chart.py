"""The chart: for each measure of rate, a bar for each server."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from tests.bench.field.measures import Measure

OURS, PEER = "#1f6feb", "#b0b7c0"


def draw(
    into: Path, title: str, names: list[str], measures: list[Measure], figures: Mapping[tuple[str, str], list[float]]
) -> list[Path]:
    """Write field.svg and field.png into the directory; their paths."""
    pyplot.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "svg.fonttype": "none"})
    figure, axes = pyplot.subplots(
        1, len(measures), figsize=(3.2 * len(measures) + 2, 0.42 * len(names) + 1.6), sharey=True
    )
    for axis, measure in zip(axes, measures, strict=True):
        bars(axis, measure, names, [figures.get((name, measure.name), []) for name in names])
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    figure.tight_layout()
    paths = [into / "field.svg", into / "field.png"]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def bars(axis: "pyplot.Axes", measure: Measure, names: list[str], columns: list[list[float]]) -> None:
    best = [measure.best(column) if column else 0.0 for column in columns]
    colours = [OURS if "qmailfork" in name else PEER for name in names]
    drawn = axis.barh(range(len(names)), best, color=colours, height=0.7)
    labels = [f"{value:.0f}" if value else "-" for value in best]
    axis.bar_label(drawn, labels, padding=3, fontsize=8)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis() if not axis.yaxis_inverted() else None
    axis.set_title(
        f"{measure.name}, {measure.unit.lstrip('/') if measure.unit != '/s' else 'sessions/s'}", fontsize=9, loc="left"
    )
    axis.margins(x=0.18)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.tick_params(length=0)
    axis.set_xticks([])
