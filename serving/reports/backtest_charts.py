"""Charts of a backtest: differences from the baselines, log loss by date, spend by tenths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
from markupsafe import Markup

from stagecast.serving.reports.charts import (
    HALF_WIDTH,
    HEIGHT,
    INK,
    WIDE_WIDTH,
    Rows,
    inline,
    to_svg,
)
from stagecast.training.judging.evaluation_result import OURS, Difference
from stagecast.training.judging.verdict_result import DateVerdict, SpendDecile


def differences(against: Sequence[Difference]) -> Markup:
    """Return our log loss less each baseline's, with its 95 % interval, largest gain first."""
    rows: Rows = sorted(
        (
            {
                "label": baseline.label,
                "at": baseline.difference,
                "low": baseline.low,
                "high": baseline.high,
            }
            for baseline in against
            if baseline.difference is not None
        ),
        key=lambda row: row["at"],
    )
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
    values = ", ".join(f"{row['label']} {row['at']:+.4f}" for row in rows)
    return to_svg(chart, "differences", f"Our log loss less that of each baseline: {values}")


def by_date(dates: Sequence[DateVerdict], labels: Mapping[str, str]) -> Markup:
    """Return the log loss of each baseline at each date over ours, which is the line at 0.

    Parameters
    ----------
    dates
        Oldest first.
    labels
        Name of a baseline -> its label.
    """
    rows: Rows = [
        {
            "date": date.as_of[:10],
            "label": labels[name],
            "over": loss / date.log_loss[OURS] - 1.0,
        }
        for date in dates
        for name, loss in date.log_loss.items()
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


def spend_deciles(deciles: Sequence[SpendDecile], currency: str | None = None) -> Markup:
    """Return expected and observed mean spend by tenths of customers, most expected first.

    The axis names the currency.
    """
    unit = "" if currency is None else f", {currency}"
    rows: Rows = [
        {"tenth": n + 1, "expected": decile.expected, "came": decile.came}
        for n, decile in enumerate(deciles)
    ]
    x = alt.X(
        "tenth:O",
        title="tenth of customers, most expected first",
        axis=alt.Axis(labelAngle=0, grid=False),
    )
    y = alt.Y(
        "came:Q",
        title=f"spend per customer{unit}: bars came, dots expected",
        axis=alt.Axis(format=",.0f", tickCount=5),
    )
    base = alt.Chart(inline(rows)).encode(x=x)
    bars = base.mark_bar(cornerRadiusEnd=3, color=INK["chart-active"], size=24).encode(y=y)
    dots = base.mark_point(filled=True, size=90, opacity=1, color=INK["chart-high"]).encode(
        y="expected:Q"
    )
    chart = alt.layer(bars, dots).properties(width=HALF_WIDTH, height=HEIGHT)
    return to_svg(chart, "tenths", "Expected and actual spend by tenths of customers")
