"""The report as one page of HTML that needs nothing else."""

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from qmailfork.report import charts, say
from qmailfork.report.charts import Part
from qmailfork.report.summary import Checker, Line, Summary
from qmailfork.report.timeline import moment


def page(summary: Summary) -> str:
    """The page. All that comes from the log is escaped by the template's library."""
    environment = Environment(
        loader=PackageLoader("qmailfork.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number="{:,}".format, ms=say.milliseconds, moment=moment, breakable=_breakable)
    return environment.get_template("page.html").render(
        summary=summary, chart=charts.chart(summary), parts=charts.parts, decided=_decided(summary), say=say
    )


def _decided(summary: Summary) -> Callable[[Checker], list[Part]]:
    """A checker's refusals and deferrals as a bar, against the longest."""
    most = max((one.refused + one.deferred for one in summary.checkers), default=0)
    return lambda one: charts.parts(Line(one.name, 0, one.refused, one.deferred), most)


def _breakable(name: str) -> Markup:
    """A name that may be broken after each slash and before each dot."""
    return Markup(escape(name).replace("/", Markup("/<wbr>")).replace(".", Markup("<wbr>.")))
