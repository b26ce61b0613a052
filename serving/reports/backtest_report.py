"""Report of a backtest: whether the model beats simple methods, at which dates, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stagecast.features.shop.money import NOTHING
from stagecast.serving.languages.texts import FOLDER
from stagecast.serving.reports import backtest_charts, charts
from stagecast.serving.reports.comparison import Method, Metric, comparison, mean_error, method_of
from stagecast.serving.reports.lifecycle_report import inks
from stagecast.serving.reports.quality import money_methods
from stagecast.serving.reports.rendering import environment
from stagecast.training.churn_kinds import kind_of
from stagecast.training.judging.evaluation_result import OURS, ValueEvaluation
from stagecast.training.judging.verdict_result import ChurnEstimates, Verdict


def _signed(value: float) -> str:
    return f"{value:+.1%}"


CHURN: tuple[Metric, ...] = (
    Metric("log_loss", "Log loss", "{:.4f}".format, "low"),
    Metric("auc", "AUC", "{:.3f}".format, "high"),
    Metric("pr_auc", "PR AUC", "{:.3f}".format, "high"),
    Metric("brier", "Brier score", "{:.4f}".format, "low"),
    Metric("calibration_error", "Calibration error", "{:.3f}".format, "low"),
    Metric("lift_5", "Lift, top 5%", "{:.2f}".format, "high"),
    Metric("lift_10", "Lift, top 10%", "{:.2f}".format, "high"),
    Metric("lift_20", "Lift, top 20%", "{:.2f}".format, "high"),
    Metric("empc", "EMPC", "{:.2f}".format, "high"),
)
SPEND: tuple[Metric, ...] = (
    Metric("rank_correlation", "Rank correlation", "{:.3f}".format, "high"),
    Metric("gini", "Normalised Gini", "{:.3f}".format, "high"),
    Metric("bias", "Total against what came", _signed, ""),
)
STAGES: tuple[Metric, ...] = (
    Metric("log_loss", "Log loss", "{:.4f}".format, "low"),
    Metric("calibration_error", "Calibration error", "{:.3f}".format, "low"),
)


@dataclass(frozen=True)
class _Ranges:
    """The 95 % intervals of the main figures of a method, as text."""

    label: str
    log_loss: str
    auc: str
    capture_10: str


def render_backtest(
    verdict: Verdict,
    as_of: str,
    value: ValueEvaluation | None = None,
    currency: str | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return the report as one self-contained HTML page.

    It has no script, fetches nothing, and the same input gives the same bytes.

    Parameters
    ----------
    verdict
        Result of the backtest.
    as_of
        The time up to which outcomes are known, ISO 8601, in shop time.
    value
        How good the value over the value horizon was; None where the log is too young to tell.
    currency
        Code of the currency of the amounts; None: not known.
    notes
        What was asked for and the log did not have.
    """
    labels = {method.name: method.label for method in verdict.models}
    gains = [(point.share_contacted, point.share_of_churners) for point in verdict.gains]
    spend = [
        method_of(method, **_means_over_dates(verdict, method.name)) for method in verdict.spend
    ]
    words = kind_of(verdict.churn).wording
    page = environment().get_template("backtest.html")
    return page.render(
        run={"title": "Backtest", "as_of": as_of},
        currency=currency,
        verdict=verdict,
        notes=notes,
        css=Markup((FOLDER / "static" / "stagecast.css").read_text(encoding="utf-8")),
        icon=Markup((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8").strip()),
        inks=inks(),
        models=comparison(map(method_of, verdict.models), CHURN),
        ranges=[_ranges(method) for method in verdict.models],
        spend=comparison(spend, (mean_error(currency), *SPEND)),
        value=value,
        value_methods=money_methods(() if value is None else value.models, currency),
        next_stage=comparison(_next_stage_methods(verdict), STAGES),
        next_stage_against=[row for row in verdict.next_stage_against if row.low is not None],
        segments=[
            (title, [row for row in verdict.segments if row.measured == measured], form)
            for measured, title, form in (
                ("churn", f"{words.probability}: log loss", "%.4f"),
                ("spend", "Spend: mean error per customer", "%.2f"),
            )
            if any(row.measured == measured for row in verdict.segments)
        ],
        differences=backtest_charts.differences(verdict.against) if verdict.against else None,
        by_date=backtest_charts.by_date(
            verdict.dates, {name: label for name, label in labels.items() if name != OURS}
        )
        if len(labels) > 1
        else None,
        calibration=charts.calibration_plot(verdict.calibration, words.left),
        gains_chart=charts.gains_curve([(0.0, 0.0), *gains], words.left) if gains else None,
        spend_deciles=backtest_charts.spend_deciles(verdict.spend_deciles, currency)
        if verdict.spend_deciles
        else None,
    )


def _ranges(method: ChurnEstimates) -> _Ranges:
    def written(low: float | None, high: float | None, form: str) -> str:
        if low is None or high is None:
            return NOTHING
        return f"{format(low, form)}–{format(high, form)}"

    return _Ranges(
        label=method.label,
        log_loss=written(method.log_loss_low, method.log_loss_high, ".4f"),
        auc=written(method.auc_low, method.auc_high, ".3f"),
        capture_10=written(method.capture_10_low, method.capture_10_high, ".0%"),
    )


def _means_over_dates(verdict: Verdict, name: str) -> dict[str, float]:
    """Return the means over the dates of those figures of a method's spend that are not drawn."""
    methods = [method.name for method in verdict.spend]
    # the dates that the methods are compared on are those that have all of them
    of_dates = [
        date.money.spend[name]
        for date in verdict.dates
        if date.money is not None and all(method in date.money.spend for method in methods)
    ]
    means = {}
    for figure in ("rank_correlation", "gini"):
        values = [getattr(figures, figure) for figures in of_dates]
        known = [value for value in values if value is not None]
        if known:
            means[figure] = sum(known) / len(known)
    return means


def _next_stage_methods(verdict: Verdict) -> list[Method]:
    """Return the means over the dates of how good the probabilities of the next stage were."""
    dates = [{method.name: method for method in date.next_stage} for date in verdict.dates]
    return [
        Method(
            name,
            method.label,
            {
                figure: sum(getattr(date[name], figure) for date in dates) / len(dates)
                for figure in ("log_loss", "calibration_error")
            },
        )
        for name, method in dates[0].items()
        if all(name in date for date in dates)
    ]
