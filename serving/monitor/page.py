"""Report of a model that is watched: what to do, what came true, what has moved."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
from markupsafe import Markup

from stagecast.features.shop.money import NOTHING
from stagecast.serving.languages.texts import FOLDER
from stagecast.serving.monitor.result import Monitoring
from stagecast.serving.reports.charts import INK, WIDE_WIDTH, Rows, inline, to_svg
from stagecast.serving.reports.lifecycle_report import inks
from stagecast.serving.reports.rendering import environment
from stagecast.training.monitoring.movement import LARGE, Movement

MOST_DRAWN = 14
HEADLINES = {
    "keep": "Keep the model",
    "retrain": "Retrain the model",
    "repair": "Repair the log first",
}
READINGS = {
    "quiet": "no more than chance",
    "small": "small",
    "older": "customers are older, and at the same age as before",
    "held": "as at the newest date whose scores held",
    "season": "as in this season a year ago",
    "as before": "as much as before the training",
    "moved": "not explained",
    "new": "new since the training",
    "gone": "gone",
}


def render_monitoring(result: Monitoring) -> str:
    """Return the report as one self-contained HTML page.

    It has no script, fetches nothing, and the same input gives the same bytes.
    """
    page = environment().get_template("monitor.html")
    return page.render(
        run={"title": "Model watch", "as_of": result.as_of},
        result=result,
        currency=result.currency,
        headline=HEADLINES[result.advice.action],
        readings=READINGS,
        css=Markup((FOLDER / "static" / "stagecast.css").read_text(encoding="utf-8")),
        icon=Markup((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8").strip()),
        inks=inks(),
        moved_chart=_drawn(result.features) if result.features else None,
        figure=_figure,
    )


def _figure(value: float | None, form: str = ",.4g") -> str:
    return NOTHING if value is None else format(value, form)


def _drawn(features: Sequence[Movement]) -> Markup:
    """Return the farthest features: their index, and the limit of a large one."""
    shown = sorted(features, key=lambda movement: -movement.since_training.psi)[:MOST_DRAWN]
    rows: Rows = [
        {
            "feature": movement.name,
            "psi": min(movement.since_training.psi, 1.0),
            "open": "not explained" if movement.reading == "moved" else "explained",
            "shown": f"{movement.since_training.psi:.2f}",
        }
        for movement in shown
    ]
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y(
            "feature:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelColor=INK["ink"], labelFontSize=13, labelLimit=260, grid=False),
        ),
        x=alt.X(
            "psi:Q",
            title="population stability index since the training, drawn up to 1",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format=".1f", tickCount=6),
        ),
    )
    names = ["explained", "not explained"]
    colours = alt.Scale(domain=names, range=[INK["chart-lapsed"], INK["chart-high"]])
    bars = base.mark_bar(cornerRadiusEnd=3, height=16).encode(
        color=alt.Color("open:N", scale=colours, legend=alt.Legend(values=names))
    )
    texts = base.mark_text(align="left", dx=6, fontSize=12, color=INK["ink"]).encode(text="shown:N")
    limit = (
        alt.Chart(inline([{"psi": LARGE}]))
        .mark_rule(color=INK["quiet"], strokeDash=[4, 4])
        .encode(x="psi:Q")
    )
    chart = alt.layer(bars, texts, limit).properties(width=WIDE_WIDTH - 200, height=alt.Step(26))
    values = ", ".join(f"{row['feature']} {row['shown']}" for row in rows)
    return to_svg(chart, "moved", f"Population stability index of features: {values}")
