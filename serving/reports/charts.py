"""The charts of the report: inline SVG that needs no script and follows the page's light, dark and
print colours.

Each mark is drawn in one of the colours of :data:`INK`; the style sheet of the report sets these
anew by attribute selector (``[fill="#1f5f8b"]``), which is how one drawing serves a light page, a
dark one and paper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import vl_convert
from markupsafe import Markup, escape

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
BANDS = ("low", "medium", "high")
STATES = ("prospect", "active", "lapsed")
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


def stage_bars(stages: Sequence[Mapping[str, Any]]) -> Markup:
    """Return one horizontal bar per stage, in the order given, coloured by state and labelled with
    its count.

    Parameters
    ----------
    stages
        ``title``, ``state`` and the number of ``customers`` of each.
    """
    rows: Rows = [
        {
            "stage": one["title"],
            "state": one["state"],
            "customers": one["customers"],
            "shown": f"{one['customers']:,}",
        }
        for one in stages
    ]
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y(
            "stage:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelColor=INK["ink"], labelFontSize=13, grid=False),
        ),
        x=alt.X(
            "customers:Q", title="customers", axis=alt.Axis(format=",d", tickMinStep=1, tickCount=6)
        ),
    )
    present = [state for state in STATES if any(row["state"] == state for row in rows)]
    colour = alt.Color("state:N", scale=_palette(STATES), legend=alt.Legend(values=present))
    bars = base.mark_bar(cornerRadiusEnd=3, height=18).encode(color=colour)
    counts = base.mark_text(align="left", dx=6, fontSize=12, color=INK["ink"]).encode(
        text="shown:N"
    )
    chart = (bars + counts).properties(width=WIDE_WIDTH, height=alt.Step(28))
    return to_svg(
        chart,
        "stages",
        "Customers on each stage: " + ", ".join(f"{r['stage']} {r['shown']}" for r in rows),
    )


def risk_histogram(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the histogram of churn probabilities, each bar split by band.

    Parameters
    ----------
    bins
        ``start`` and ``end`` (probabilities) and a count of customers for each of :data:`BANDS`.
    """
    rows: Rows = [
        {
            "start": one["start"],
            "end": one["end"],
            "band": band,
            "rank": rank,
            "customers": one[band],
        }
        for one in bins
        for rank, band in enumerate(BANDS)
        if one[band]
    ]
    chart = (
        alt.Chart(inline(rows))
        .mark_bar(binSpacing=2)
        .encode(
            x=alt.X(
                "start:Q",
                bin="binned",
                title="churn probability",
                scale=UNIT,
                axis=shares(grid=False),
            ),
            x2="end:Q",
            y=alt.Y(
                "customers:Q",
                title="active customers",
                axis=alt.Axis(format=",d", tickMinStep=1, tickCount=5),
            ),
            color=alt.Color("band:N", scale=_palette(BANDS), legend=alt.Legend(values=list(BANDS))),
            order="rank:O",
        )
        .properties(width=HALF_WIDTH, height=HEIGHT - LEGEND_HEIGHT)
    )
    totals = ", ".join(f"{sum(one[band] for one in bins):,} {band}" for band in BANDS)
    return to_svg(
        chart,
        "risk",
        f"Histogram of the churn probability of the active customers, by band: {totals}",
    )


def held_curve(
    points: Sequence[tuple[float, float]], spot: tuple[float, float], said: str
) -> Markup:
    """Return the share of all value at risk that the customers with most of it hold, with one spot
    called out.

    Parameters
    ----------
    points
        share of the customers, share of the value; both between 0 and 1, ascending.
    spot, said
        the point to call out and the words beside it.
    """
    titles = ("share of active customers, most value at risk first", "share of all value at risk")
    return to_svg(called_out(points, spot, said, titles), "held", f"Curve of value at risk: {said}")


def called_out(
    points: Sequence[tuple[float, float]],
    spot: tuple[float, float],
    said: str,
    titles: tuple[str, str],
) -> alt.LayerChart | alt.FacetChart:
    """Return a curve of shares over the diagonal with one spot called out; ``titles`` are of the
    axes.
    """
    x = alt.X("x:Q", title=titles[0], scale=UNIT, axis=shares(grid=False))
    y = alt.Y("y:Q", title=titles[1], scale=UNIT, axis=shares())
    base = alt.Chart(inline([{"x": spot[0], "y": spot[1], "said": said}])).encode(x=x, y=y)
    side: Literal["left", "right"] = "left" if spot[0] < 0.5 else "right"
    dx = 10 if side == "left" else -10
    words = base.mark_text(
        align=side, dx=dx, dy=16, fontSize=12, fontWeight="bold", color=INK["ink"]
    )
    dot = base.mark_point(filled=True, size=90, opacity=1, color=INK["chart-high"])
    chart = alt.layer(*over_diagonal(points, x, y), dot, words.encode(text="said:N"))
    return chart.properties(width=HALF_WIDTH, height=HEIGHT)


def gains_curve(points: Sequence[tuple[float, float]]) -> Markup:
    """Return which share of those who left is reached by contacting a share of all, highest risk
    first.
    """
    x = alt.X(
        "x:Q", title="share contacted, highest risk first", scale=UNIT, axis=shares(grid=False)
    )
    y = alt.Y("y:Q", title="share of those who left", scale=UNIT, axis=shares())
    chart = alt.layer(*over_diagonal(points, x, y))
    return to_svg(
        chart.properties(width=HALF_WIDTH, height=HEIGHT),
        "gains",
        "Gains curve over what chance would give",
    )


def calibration_plot(groups: Sequence[Mapping[str, Any]]) -> Markup:
    """Return what happened against what was predicted, a dot per group of customers.

    Parameters
    ----------
    groups
        ``predicted`` and ``observed`` shares of customers who left.
    """
    points: Rows = [{"x": group["predicted"], "y": group["observed"]} for group in groups]
    x = alt.X("x:Q", title="predicted share that leaves", scale=UNIT, axis=shares())
    y = alt.Y("y:Q", title="share that left", scale=UNIT, axis=shares())
    base = alt.Chart(inline(points)).encode(x=x, y=y)
    line = base.mark_line(color=INK["accent"], strokeWidth=1.5, opacity=0.5)
    dots = base.mark_point(filled=True, size=80, opacity=1, color=INK["accent"])
    chart = alt.layer(_diagonal(x, y), line, dots).properties(width=HALF_WIDTH, height=HEIGHT)
    return to_svg(chart, "calibration", "Predicted against observed share of customers who left")


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


def _palette(names: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=[INK[f"chart-{name}"] for name in names])


def to_svg(chart: alt.Chart | alt.LayerChart | alt.FacetChart, name: str, label: str) -> Markup:
    """Draw a chart; ``name`` makes its ids unique in the page, ``label`` tells it to those who
    do not see it.
    """
    spec = chart.to_dict() | {"config": _CONFIG}
    # an empty list of addresses: drawing a chart never fetches anything
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    # ids are numbered per process; in a page they must be unique, and the same each time
    for number, made in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = svg.replace(f'id="{made}"', f'id="{name}-{number}"').replace(
            f"url(#{made})", f"url(#{name}-{number})"
        )
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1))
