"""Charts of the report: inline SVG without a script, in light, dark and print colours.

Each mark is drawn in one of the colours of :data:`INK`. The style sheet of the report replaces them
by attribute selector (``[fill="#1f5f8b"]``), so that one drawing serves a light page, a dark one
and paper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import altair as alt
import vl_convert
from markupsafe import Markup, escape

from stagecast.serving.languages.display import ENGLISH, Display

if TYPE_CHECKING:
    from stagecast.training.learners.metrics import CalibrationGroup

FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif'
# name of the css variable -> the colour it has in the drawing
INK: Mapping[str, str] = {
    "ink": "#1b2430",
    "quiet": "#5b6776",
    "line": "#dde2e8",
    "accent": "#1f5f8b",
    "chart-low": "#5fa886",
    "chart-medium": "#dba53a",
    "chart-high": "#b8382f",
    "chart-active": "#2f7cb3",
    "chart-lapsed": "#98a4b1",
    "chart-prospect": "#8f79c9",
}
HALF_WIDTH, WIDE_WIDTH, HEIGHT, LEGEND_HEIGHT = 430, 900, 250, 21

_CONFIG: dict[str, Any] = {
    "aria": False,
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "gridColor": INK["line"],
        "labelColor": INK["quiet"],
        "titleColor": INK["quiet"],
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelPadding": 6,
        "labelFlush": False,
        "titlePadding": 10,
    },
    "legend": {
        "orient": "top",
        "labelColor": INK["quiet"],
        "labelFontSize": 12,
        "title": None,
        "symbolType": "square",
        "symbolStrokeWidth": 0,
        "offset": 8,
    },
}

Rows = list[dict[str, Any]]
UNIT = alt.Scale(domain=[0, 1])


def shares(grid: bool = True) -> alt.Axis:
    return alt.Axis(format=".0%", tickCount=5, grid=grid)


def curve_with_spot(
    points: Sequence[tuple[float, float]],
    spot: tuple[float, float],
    caption: str,
    titles: tuple[str, str],
) -> alt.LayerChart | alt.FacetChart:
    """Return a curve of shares over the diagonal with one point marked.

    Parameters
    ----------
    points
        Of the curve, between 0 and 1, ascending.
    spot, caption
        The point to mark and the words beside it.
    titles
        Of the two axes.
    """
    x = alt.X("x:Q", title=titles[0], scale=UNIT, axis=shares(grid=False))
    y = alt.Y("y:Q", title=titles[1], scale=UNIT, axis=shares())
    base = alt.Chart(inline([{"x": spot[0], "y": spot[1], "caption": caption}])).encode(x=x, y=y)
    side: Literal["left", "right"] = "left" if spot[0] < 0.5 else "right"
    dx = 10 if side == "left" else -10
    words = base.mark_text(
        align=side, dx=dx, dy=16, fontSize=12, fontWeight="bold", color=INK["ink"]
    )
    dot = base.mark_point(filled=True, size=90, opacity=1, color=INK["chart-high"])
    chart = alt.layer(*over_diagonal(points, x, y), dot, words.encode(text="caption:N"))
    return chart.properties(width=HALF_WIDTH, height=HEIGHT)


def gains_curve(points: Sequence[tuple[float, float]], left: str) -> Markup:
    """Return the share of those whose risk came true by the share of customers contacted, by risk.

    ``left`` says what these did, such as ``bought nothing``.
    """
    x = alt.X(
        "x:Q", title="share contacted, highest risk first", scale=UNIT, axis=shares(grid=False)
    )
    y = alt.Y("y:Q", title=f"share of those who {left}", scale=UNIT, axis=shares())
    chart = alt.layer(*over_diagonal(points, x, y))
    return to_svg(
        chart.properties(width=HALF_WIDTH, height=HEIGHT),
        "gains",
        "Gains curve over what chance would give",
    )


def calibration_plot(groups: Sequence[CalibrationGroup], left: str) -> Markup:
    """Return observed against predicted shares of customers whose risk came true, a dot per group.

    ``left`` says what these did, such as ``bought nothing``.
    """
    points: Rows = [{"x": group.predicted, "y": group.observed} for group in groups]
    x = alt.X("x:Q", title="predicted share", scale=UNIT, axis=shares())
    y = alt.Y("y:Q", title=f"share that {left}", scale=UNIT, axis=shares())
    base = alt.Chart(inline(points)).encode(x=x, y=y)
    line = base.mark_line(color=INK["accent"], strokeWidth=1.5, opacity=0.5)
    dots = base.mark_point(filled=True, size=80, opacity=1, color=INK["accent"])
    chart = alt.layer(_diagonal(x, y), line, dots).properties(width=HALF_WIDTH, height=HEIGHT)
    return to_svg(chart, "calibration", f"Predicted against observed share of customers who {left}")


def over_diagonal(points: Sequence[tuple[float, float]], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    base = alt.Chart(inline([{"x": across, "y": up} for across, up in points])).encode(x=x, y=y)
    area = base.mark_area(color=INK["accent"], opacity=0.14).encode(y2="x:Q")
    return [_diagonal(x, y), area, base.mark_line(color=INK["accent"], strokeWidth=2.5)]


def _diagonal(x: alt.X, y: alt.Y) -> alt.Chart:
    ends = alt.Chart(inline([{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
    line: alt.Chart = ends.mark_line(color=INK["quiet"], strokeDash=[4, 4], strokeWidth=1).encode(
        x=x, y=y
    )
    return line


def inline(rows: Rows) -> dict[str, Rows]:
    return {"values": rows}


def _number_locale(display: Display) -> dict[str, Any]:
    """Return how the axes write numbers, as D3 takes it."""
    thousands, decimal = display.written("1,000.5")[1], display.written("0.5")[1]
    return {
        "decimal": decimal,
        "thousands": thousands,
        "grouping": [3],
        "currency": ["", ""],
        "numerals": [display.written(str(digit)) for digit in range(10)],
        "percent": display.percent(0.5).removeprefix(display.written("50")),
        "minus": "−",
    }


def to_svg(
    chart: alt.Chart | alt.LayerChart | alt.FacetChart,
    name: str,
    label: str,
    display: Display = ENGLISH,
) -> Markup:
    """Return a chart as inline SVG.

    Parameters
    ----------
    name
        Prefix of its ids, which must be unique in a page.
    label
        Text for screen readers.
    display
        Digits and separators of the axes.
    """
    spec = chart.to_dict() | {"config": _CONFIG}
    # no address may be fetched while a chart is drawn
    svg: str = vl_convert.vegalite_to_svg(
        spec, allowed_base_urls=[], format_locale=_number_locale(display)
    )
    # vl_convert numbers ids per process; in a page they must be unique, and the same each time
    for number, svg_id in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = svg.replace(f'id="{svg_id}"', f'id="{name}-{number}"').replace(
            f"url(#{svg_id})", f"url(#{name}-{number})"
        )
    # the drawing is one picture with a text; its parts have roles, and no names
    svg = re.sub(r' (?:role="graphics-[a-z]+"|aria-[a-z]+="[^"]*")', "", svg)
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1))
