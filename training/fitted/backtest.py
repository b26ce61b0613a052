"""``BacktestReport``: how methods did at past dates, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import pandas as pd

from stagecast.features.intake.counted import counted
from stagecast.training.judging.evaluation_result import OURS, Difference, ValueEvaluation
from stagecast.training.judging.verdict_result import Verdict

_CHURN = ("log_loss", "auc", "pr_auc", "brier", "calibration_error", "lift_10", "empc")
_MONEY = ("mae", "rank_correlation", "total")
_AGAINST = ("difference", "difference_low", "difference_high")
SUMMARY = (*_CHURN, *_MONEY, *_AGAINST)
"""Columns of :attr:`BacktestReport.summary`."""


@dataclass(frozen=True, repr=False)
class BacktestReport:
    """How methods did at past dates, each fitted on what was known then.

    Methods are called as they were named in ``methods``, and the built-in baselines by their keys.
    ``ours`` is the first model: differences are its error less that of another method, so that
    below 0 it is better.

    Parameters
    ----------
    verdict
        The comparison, with everything that ``backtest.json`` holds.
    value
        How good ``clv`` of each model was over the value horizon: name of the model -> evaluation.
        Empty where the log is too young to tell.
    predictions
        One row for each customer and date, index ``customer_id`` and ``as_of``: the segments, what
        came (``inactive``, ``spend``), and a column ``p_inactive_<method>`` and
        ``expected_spend_<method>`` for each method; NaN where a method could not be fitted.
    ours
        Name of the first model.
    """

    verdict: Verdict
    value: Mapping[str, ValueEvaluation]
    predictions: pd.DataFrame
    ours: str

    @property
    def grade(self) -> str:
        """A to D, of the first model against the best of the others."""
        return self.verdict.grade

    @property
    def summary(self) -> pd.DataFrame:
        """Figures of each part and method, as means over the dates.

        Returns
        -------
        pandas.DataFrame
            Index ``part`` (``churn``, ``spend`` within the horizon, ``next stage``, ``value`` over
            the value horizon at the one date that lies that far back) and ``method``. ``log_loss``
            (nats), ``auc``, ``pr_auc``, ``brier``, ``calibration_error``, ``lift_10`` and ``empc``
            (money per customer) are of probabilities, ``mae`` (money per customer),
            ``rank_correlation`` and ``total`` (expected over actual money) of money.
            ``difference`` is the log loss, or mean absolute error, of the first model less that of
            the method, with its 95 % interval over draws of customers and dates. NaN where a
            figure does not apply.
        """
        rows = [{"part": p, "method": self._name(m), **figures} for p, m, figures in self._rows()]
        table = pd.DataFrame(rows, columns=["part", "method", *SUMMARY])
        return table.set_index(["part", "method"]).astype("float64")

    @property
    def by_date(self) -> pd.DataFrame:
        """Figures of each date and method.

        Returns
        -------
        pandas.DataFrame
            Index ``as_of`` (UTC) and ``method``; ``customers``, ``left`` (share that bought
            nothing, or cancelled), ``log_loss``, ``auc``, ``calibration_error``, ``mae``,
            ``rank_correlation``, ``total`` (expected over actual money) and
            ``next_stage_log_loss``; NaN where a method does not have a figure.
        """
        rows: list[dict[str, Any]] = []
        instants = self.predictions.index.get_level_values("as_of").unique()
        for as_of, date in zip(instants, self.verdict.dates, strict=True):
            spend = date.money.spend if date.money is not None else {}
            stages = {figures.name: figures.log_loss for figures in date.next_stage}
            for name in dict.fromkeys((*date.log_loss, *spend, *stages)):
                money = spend.get(name)
                actual = date.money.actual_total if date.money is not None else 0.0
                rows.append(
                    {
                        "as_of": as_of,
                        "method": self._name(name),
                        "customers": date.customers,
                        "left": date.base_rate,
                        "log_loss": date.log_loss.get(name),
                        "auc": date.auc.get(name),
                        "calibration_error": date.calibration_error.get(name),
                        "mae": None if money is None else money.mae,
                        "rank_correlation": None if money is None else money.rank_correlation,
                        "total": money.predicted_total / actual if money and actual else None,
                        "next_stage_log_loss": stages.get(name),
                    }
                )
        table = pd.DataFrame(rows).set_index(["as_of", "method"])
        return table.astype({name: "float64" for name in table if name != "customers"})

    @property
    def by_segment(self) -> pd.DataFrame:
        """The first model beside the best other method, in each segment.

        Returns
        -------
        pandas.DataFrame
            Index ``measured`` (``churn``: log loss; ``spend``: absolute error), ``segment``
            (``stage``, ``tenure``, ``size`` by spend so far, ``channel`` of the first event) and
            ``value``; ``rows`` (predictions), ``came`` (share that left, or mean spend), ``ours``,
            ``best_method``, ``best``, ``difference`` with ``low`` and ``high`` (95 %, over draws of
            customers and dates) and ``relative``. The best is chosen on these same outcomes, which
            favours it.
        """
        columns = ["measured", "segment", "value", "rows", "came", "ours", "best_method", "best"]
        rows = [
            {**asdict(figures), "best_method": self._name(figures.best_name)}
            for figures in self.verdict.segments
        ]
        columns += ["difference", "low", "high", "relative"]
        table = pd.DataFrame(rows, columns=columns).set_index(["measured", "segment", "value"])
        return table.astype({"low": "float64", "high": "float64", "relative": "float64"})

    @property
    def against(self) -> pd.DataFrame:
        """Log loss of the first model less that of each other method, with its 95 % interval."""
        columns = ["name", "difference", "low", "high", "relative", "better_in"]
        rows = [asdict(row) for row in self.verdict.against]
        table = pd.DataFrame(rows, columns=columns).rename(columns={"name": "method"})
        return table.set_index("method").astype("float64")

    def __repr__(self) -> str:
        v = self.verdict
        shown = "; ".join(
            f"{self._name(method.name)} {method.log_loss:.4f}"
            for method in sorted(v.models, key=lambda method: method.log_loss)[:4]
        )
        return (
            f"BacktestReport(grade {v.grade}, {counted(len(v.dates), 'date')} "
            f"{v.dates[0].as_of[:10]} to {v.dates[-1].as_of[:10]}, {v.horizon_days}d ahead, "
            f"{v.rows:,} predictions; log loss: {shown})"
        )

    def _repr_html_(self) -> str:
        v = self.verdict
        head = (
            f"<p><b>Grade {escape(v.grade)}.</b> {escape(v.grade_sentence)}<br>"
            f"{counted(len(v.dates), 'date')}, {v.dates[0].as_of[:10]} to "
            f"{v.dates[-1].as_of[:10]}, {v.horizon_days} days ahead, "
            f"{counted(v.customers, 'customer')}.</p>"
        )
        return "".join(
            (
                head,
                self.summary.to_html(float_format="{:,.4g}".format, na_rep=""),
                "<p>By segment</p>" if v.segments else "",
                self.by_segment.to_html(float_format="{:,.4g}".format, na_rep="")
                if v.segments
                else "",
            )
        )

    def _name(self, name: str) -> str:
        return self.ours if name == OURS else name

    def _rows(self) -> Iterator[tuple[str, str, dict[str, float | None]]]:
        """Yield part, method and figures."""
        v = self.verdict
        for method in v.models:
            figures = {key: getattr(method, key) for key in _CHURN}
            yield "churn", method.name, figures | _against(v.against, method.name)
        means = _means(v)
        for amount in v.spend:
            total = None if amount.bias is None else 1.0 + amount.bias
            figures = {"mae": amount.mae, "total": total, **means.get(amount.name, {})}
            yield "spend", amount.name, figures | _against(v.spend_against, amount.name)
        for stage in v.next_stage:
            figures = {"log_loss": stage.log_loss, "calibration_error": stage.calibration_error}
            yield "next stage", stage.name, figures | _against(v.next_stage_against, stage.name)
        for n, (model, value) in enumerate(self.value.items()):
            # the baselines of the value are the same for every model
            for row in value.models[:1] if n else value.models:
                yield (
                    "value",
                    model if row.name == OURS else row.name,
                    {
                        "mae": row.mae,
                        "rank_correlation": row.rank_correlation,
                        "total": row.predicted_total / row.actual_total
                        if row.actual_total
                        else None,
                    },
                )


def _means(verdict: Verdict) -> dict[str, dict[str, float | None]]:
    """Return the mean rank correlation of the spend of each method over the dates compared on."""
    known: dict[str, list[float]] = {}
    methods = [method.name for method in verdict.spend]
    for date in verdict.dates:
        of_date = date.money.spend if date.money is not None else {}
        if not all(name in of_date for name in methods):
            continue
        for name, figures in of_date.items():
            if figures.rank_correlation is not None:
                known.setdefault(name, []).append(figures.rank_correlation)
    return {name: {"rank_correlation": sum(v) / len(v)} for name, v in known.items()}


def _against(differences: tuple[Difference, ...], name: str) -> dict[str, float | None]:
    for row in differences:
        if row.name == name:
            values = (row.difference, row.low, row.high)
            return dict(zip(_AGAINST, values, strict=True))
    return {}
