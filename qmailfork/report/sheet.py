"""A sheet to draw on with matplotlib, in pixels from its top left; it takes no display and no settings of a user's."""

import io
import logging
import os
import warnings
from functools import lru_cache

os.environ["MPLBACKEND"] = "agg"  # a wrong one would be an error
logging.getLogger("matplotlib").setLevel(logging.CRITICAL)  # it tells of its caches

import matplotlib as mpl  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.font_manager import FontProperties  # noqa: E402
from matplotlib.patches import FancyBboxPatch, Rectangle  # noqa: E402

DENSITY = 2  # dots of the picture for a pixel, in either direction
INCH = 100  # pixels
POINT = 0.72  # of a point is a pixel
CARDS, RULES, BARS, WORDS = range(1, 5)  # from the ground up
FONT = "DejaVu Sans"  # comes with matplotlib
CUT = "…"


class Sheet:
    """A sheet `width` pixels wide, and as high as end() says at last."""

    def __init__(self, width: float) -> None:
        mpl.rcdefaults()
        self.width = width
        self.figure = Figure(figsize=(width / INCH, 1), dpi=INCH * DENSITY)
        self._canvas = FigureCanvasAgg(self.figure)
        self._ruler = self._canvas.get_renderer()  # type: ignore[no-untyped-call]  # it ships without types
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, width)

    def end(self, height: float, ground: str) -> None:
        """The sheet is so high, and of this colour."""
        self.figure.set_size_inches(self.width / INCH, round(height) / INCH)
        self.figure.set_facecolor(ground)
        self._axes.set_ylim(round(height), 0)

    def box(self, left: float, top: float, width: float, height: float, colour: str, on: int = BARS) -> None:
        """A rectangle."""
        self._axes.add_patch(Rectangle((left, top), width, height, facecolor=colour, linewidth=0, zorder=on))

    def card(self, left: float, top: float, width: float, height: float, colour: str, edge: str) -> None:
        """A rectangle with round corners and an edge, behind everything else; a later one covers an earlier."""
        shape = "round,pad=0,rounding_size=10"
        patch = FancyBboxPatch((left, top), width, height, shape, facecolor=colour, edgecolor=edge, zorder=CARDS)
        patch.set_linewidth(POINT)
        self._axes.add_patch(patch)

    def text(
        self, left: float, base: float, words: str, size: float, colour: str, bold: bool = False, right: bool = False
    ) -> None:
        """Words on the line `base`, that begin at `left` or, with `right`, end there."""
        self._axes.text(
            left, base, words, color=colour, fontproperties=_font(size, bold), zorder=WORDS,
            ha="right" if right else "left", va="baseline", parse_math=False,
        )  # fmt: skip

    def measured(self, words: str, size: float, bold: bool = False) -> float:
        """How wide the words will be."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a sign that the font lacks is shown as a box
            width, _, _ = self._ruler.get_text_width_height_descent(words, _font(size, bold), ismath=False)
        return float(width) / DENSITY

    def fitted(self, words: str, room: float, size: float, bold: bool = False) -> str:
        """The words, without their middle where they are wider than `room`."""
        shown, keep = words, len(words)
        while (width := self.measured(shown, size, bold)) > room and keep > 1:
            keep = max(1, min(keep - 1, int(keep * room / width)))
            shown = words[: (keep + 1) // 2] + CUT + words[len(words) - keep // 2 :]
        return shown

    def wrapped(self, words: str, room: float, size: float) -> list[str]:
        """The words in lines that are no wider than `room`."""
        lines = [""]
        for word in words.split(" "):
            word = self.fitted(word, room, size)
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if self.measured(longer, size) <= room:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def png(self, title: str) -> bytes:
        """The picture; `title` stands in the file beside it."""
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.figure.savefig(file, format="png", metadata={"Title": title, "Software": "qmailfork report"})
        return file.getvalue()


@lru_cache
def _font(size: float, bold: bool) -> FontProperties:
    return FontProperties(family=FONT, size=size * POINT, weight="bold" if bold else "normal")
