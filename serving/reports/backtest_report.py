"""The report of a backtest: is the model better than a simple method, on which dates, by how
much, how surely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from stagecast.serving.reports import backtest_charts, charts
from stagecast.serving.reports.comparison import Metric, comparison
from stagecast.serving.reports.lifecycle_report import inks
from stagecast.serving.reports.rendering import FOLDER, NOTHING, environment


def _signed(value: float) -> str:
    return f"{value:+.1%}"


CHURN: tuple[Metric, ...] = (
    ("log_loss", "Log loss", "{:.4f}".format, "low"),
    ("auc", "AUC", "{:.3f}".format, "high"),
    ("pr_auc", "PR AUC", "{:.3f}".format, "high"),
    ("brier", "Brier score", "{:.4f}".format, "low"),
    ("calibration_error", "Calibration error", "{:.3f}".format, "low"),
    ("lift_5", "Lift, top 5%", "{:.2f}".format, "high"),
    ("lift_10", "Lift, top 10%", "{:.2f}".format, "high"),
    ("lift_20", "Lift, top 20%", "{:.2f}".format, "high"),
    ("empc", "EMPC", "{:.2f}".format, "high"),
)
SPEND: tuple[Metric, ...] = (
    ("mae", "Mean error per customer", "{:,.2f}".format, "low"),
    ("rank_correlation", "Rank correlation", "{:.3f}".format, "high"),
    ("gini", "Normalised Gini", "{:.3f}".format, "high"),
    ("bias", "Total against what came", _signed, ""),
)
STAGES: tuple[Metric, ...] = (
    ("log_loss", "Log loss", "{:.4f}".format, "low"),
    ("calibration_error", "Calibration error", "{:.3f}".format, "low"),
)


def render_backtest(told: Mapping[str, Any]) -> str:
    """Return the report as one self-contained HTML page: no script, nothing fetched, same input
    same bytes.

    Parameters
    ----------
    told
        see :func:`stagecast.training.judging.verdict.verdict`, with ``as_of``, ``scheme`` and the
        ``log`` beside it.
    """
    labels = {row["name"]: row["label"] for row in told["models"]}
    gains = [(one["share_contacted"], one["share_of_churners"]) for one in told["gains"]]
    spend = [dict(row) | _mean_of_dates(told, row["name"]) for row in told["spend"]]
    page = environment().get_template("backtest.html")
    return page.render(
        run={"title": "Backtest", "as_of": told["as_of"]},
        told=told,
        css=Markup((FOLDER / "static" / "stagecast.css").read_text(encoding="utf-8")),
        icon=Markup((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8").strip()),
        inks=inks(),
        models=comparison(told["models"], CHURN),
        ranges=[_range(row) for row in told["models"]],
        spend=comparison(spend, SPEND),
        next_stage=comparison(_next_stage(told), STAGES),
        differences=backtest_charts.differences(told["against"]) if told["against"] else None,
        by_date=backtest_charts.by_date(
            told["dates"], {k: v for k, v in labels.items() if k != backtest_charts.OURS}
        )
        if len(labels) > 1
        else None,
        calibration=charts.calibration_plot(told["calibration"]),
        gains=gains,
        gains_chart=charts.gains_curve([(0.0, 0.0), *gains]) if gains else None,
        tenths=backtest_charts.tenths(told["spend_deciles"]) if told["spend_deciles"] else None,
        labels=labels,
    )


def _range(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the 95 % intervals of the main figures as text."""

    def written(figure: str, form: str) -> str:
        ends = [row[f"{figure}_low"], row[f"{figure}_high"]]
        return NOTHING if None in ends else "–".join(format(end, form) for end in ends)

    figures = {"log_loss": ".4f", "auc": ".3f", "capture_10": ".0%"}
    return {
        "label": row["label"],
        **{figure: written(figure, form) for figure, form in figures.items()},
    }


def _mean_of_dates(told: Mapping[str, Any], name: str) -> dict[str, float]:
    """Return the mean over the dates of what is not drawn anew: rank correlation and Gini of a
    method's spend.
    """
    found = {}
    for figure in ("rank_correlation", "gini"):
        values = [
            date["spend"][name][figure]
            for date in told["dates"]
            if date["spend"][name][figure] is not None
        ]
        if values:
            found[figure] = sum(values) / len(values)
    return found


def _next_stage(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the mean over the dates of how good the probabilities of the next stage were."""
    dates = [{row["name"]: row for row in date["next_stage"]} for date in told["dates"]]
    return [
        {
            "name": name,
            "label": row["label"],
            **{
                k: sum(date[name][k] for date in dates) / len(dates)
                for k in ("log_loss", "calibration_error")
            },
        }
        for name, row in dates[0].items()
    ]
