"""The charts of a backtest: how far each baseline is from us, and the log loss of each method at
each date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from stagecast.serving.reports.charts import HALF_WIDTH, HEIGHT, INK, WIDE_WIDTH, inline, to_svg

Rows = list[dict[str, Any]]
OURS = "stagecast"


def differences(against: Sequence[Mapping[str, Any]]) -> Markup:
    """Return our log loss less each baseline's, with the 95 % interval; left of the line we are
    closer to the truth.

    Parameters
    ----------
    against
        ``label``, ``difference``, ``low`` and ``high`` of each baseline.
    """
    rows: Rows = [
        {"label": a["label"], "at": a["difference"], "low": a["low"], "high": a["high"]}
        for a in sorted(against, key=lambda one: one["difference"])
    ]
    y = alt.Y(
        "label:N",
        sort=None,
        title=None,
        axis=alt.Axis(labelColor=INK["ink"], labelFontSize=13, labelLimit=260),
    )
    base = alt.Chart(inline(rows)).encode(y=y)
    title = "our log loss less theirs: left of the line we are closer to what happened"
    x = alt.X("low:Q", title=title, axis=alt.Axis(format="+.3f", tickCount=6))
    whiskers = base.mark_rule(strokeWidth=2, color=INK["accent"]).encode(x=x, x2="high:Q")
    dots = base.mark_point(filled=True, size=90, opacity=1, color=INK["accent"]).encode(x="at:Q")
    zero = (
        alt.Chart(inline([{"zero": 0.0}]))
        .mark_rule(color=INK["quiet"], strokeDash=[4, 4])
        .encode(x="zero:Q")
    )
    chart = alt.layer(zero, whiskers, dots).properties(width=WIDE_WIDTH - 200, height=alt.Step(30))
    said = ", ".join(f"{row['label']} {row['at']:+.4f}" for row in rows)
    return to_svg(chart, "differences", f"Our log loss less that of each baseline: {said}")


def by_date(dates: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Markup:
    """Return the log loss of each method at each date over that of stagecast, which is the line at
    0.

    Parameters
    ----------
    dates
        ``as_of`` and the ``log_loss`` of each method by its name.
    labels
        how the methods are called.
    """
    rows: Rows = [
        {
            "date": one["as_of"][:10],
            "label": labels[name],
            "over": loss / one["log_loss"][OURS] - 1.0,
        }
        for one in dates
        for name, loss in one["log_loss"].items()
        if name in labels
    ]
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("date:N", sort=None, title="as of", axis=alt.Axis(labelAngle=0, grid=False)),
        y=alt.Y("over:Q", title="log loss over ours", axis=alt.Axis(format="+.0%", tickCount=6)),
    )
    shape = alt.Shape(
        "label:N", sort=None, legend=alt.Legend(orient="bottom", columns=2, symbolType="circle")
    )
    dots = base.mark_point(size=70, opacity=1, strokeWidth=2, color=INK["accent"]).encode(
        shape=shape
    )
    zero = (
        alt.Chart(inline([{"over": 0.0}]))
        .mark_rule(color=INK["quiet"], strokeDash=[4, 4])
        .encode(y="over:Q")
    )
    chart = alt.layer(zero, dots).properties(width=HALF_WIDTH, height=HEIGHT)
    return to_svg(chart, "dates", "Log loss of each method over that of stagecast, at each date")


def tenths(groups: Sequence[Mapping[str, float]]) -> Markup:
    """Return what tenths of customers were expected to spend, and what they spent, those with most
    first.

    Parameters
    ----------
    groups
        ``expected`` and ``came``, mean spend per customer.
    """
    rows: Rows = [
        {"tenth": n + 1, "expected": group["expected"], "came": group["came"]}
        for n, group in enumerate(groups)
    ]
    x = alt.X(
        "tenth:O",
        title="tenth of customers, most expected first",
        axis=alt.Axis(labelAngle=0, grid=False),
    )
    y = alt.Y(
        "came:Q",
        title="spend per customer: bars came, dots expected",
        axis=alt.Axis(format=",.0f", tickCount=5),
    )
    base = alt.Chart(inline(rows)).encode(x=x)
    bars = base.mark_bar(cornerRadiusEnd=3, color=INK["chart-active"], size=24).encode(y=y)
    dots = base.mark_point(filled=True, size=90, opacity=1, color=INK["chart-high"]).encode(
        y="expected:Q"
    )
    chart = alt.layer(bars, dots).properties(width=HALF_WIDTH, height=HEIGHT)
    return to_svg(chart, "tenths", "Expected and actual spend by tenths of customers")
