"""Evaluation of the value over the value horizon: a training that far back, and what came since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY, day_number, from_microseconds, iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.judging.evaluate import rows_in
from stagecast.training.judging.evaluation_result import (
    OURS,
    SpendFigures,
    ValueEvaluation,
    ValueTenth,
)
from stagecast.training.judging.grade import grade_value
from stagecast.training.judging.past_value import value_intervals
from stagecast.training.learners import metrics
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.repeated import fit
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import Models, Predictions
from stagecast.training.panel import Panel, build
from stagecast.training.value.spans import Purchases

# History before the date that a training which is tested needs at least, in horizons and in value
# horizons.
LEAST_HORIZONS, LEAST_VALUE_HORIZONS = 2, 0.5
FEWEST_CUSTOMERS = 60
# Number of recent dates that the training which is tested learns from, at most.
MAX_DATES = 4
# In money or orders: nothing is divided by less.
_SMALLEST = 1e-9


def evaluate_value(
    connection: duckdb.DuckDBPyConnection,
    table: DailyTable,
    config: TrainConfig,
    has_amounts: bool,
    fitted: dict[datetime, CustomerBase],
    notify: Callable[[str], object] = lambda step: None,
) -> ValueEvaluation | None:
    """Train one value horizon before the as_of, and compare the clv with what came since.

    None where the log has no amounts, or too little history before that date.

    Parameters
    ----------
    connection
        Holds the table ``events`` of the event contract.
    table
        What is known at the as_of.
    config
        Settings of the training.
    has_amounts
        Whether the log has amounts.
    fitted
        Cache of customer-base models by the date of their fit.
    notify
        Called with the name of the step as it begins.
    """
    days = config.value_horizon_days
    date = table.anchor - timedelta(days=days)
    history = (date - from_microseconds(table.first_event())) / DAY
    least = max(LEAST_HORIZONS * config.horizon_days, LEAST_VALUE_HORIZONS * days)
    if not has_amounts or history < least:
        return None
    try:
        past = DailyTable(connection, date)
    except NotEnoughDataError:  # all events before that date were recorded after it
        return None
    notify("evaluation of the value")
    # half as many dates teach nearly as much, in half the time
    config = replace(config, max_dates=min(config.max_dates, MAX_DATES))
    panel = build(past, config, fitted=fitted)
    if panel.base is None or not kind_of(config.churn).can_learn(panel):
        return None
    if int(panel.now.buyers.sum()) < FEWEST_CUSTOMERS:
        return None
    purchase_days = past.purchase_days()
    models, predicted = fit_models(panel, purchase_days, config, has_amounts, with_reference=False)
    observed = _observed_value(table, panel, predicted, config)
    purchases = Purchases(purchase_days, day_number(date))
    intervals = value_intervals(panel, models, purchases)
    buyers = predicted.buyers
    clv = predicted.clv[buyers]
    method = kind_of(config.churn).method(models)
    methods = [(OURS, f"stagecast ({method})", clv), *_baselines(panel, models, predicted)]
    figures = tuple(_figures(name, label, expected, observed) for name, label, expected in methods)
    coverage = None
    if intervals is not None:
        low, high = (end[buyers] for end in predicted.value_range(intervals))
        coverage = float(((observed >= low) & (observed <= high)).mean())
    grade = grade_value(figures)
    return ValueEvaluation(
        as_of=iso(date),
        until=iso(table.anchor),
        customers=len(buyers),
        models=figures,
        tenths=_tenths(clv, observed),
        coverage=coverage,
        grade=grade.letter,
        grade_sentence=grade.sentence,
    )


def _observed_value(
    table: DailyTable, panel: Panel, predicted: Predictions, config: TrainConfig
) -> Array:
    """Return the discounted money that came from the buyers of a panel, shape (n_buyers,)."""
    rows = rows_in(table, panel)[predicted.buyers]
    purchases = Purchases(table.purchase_days(), day_number(table.anchor))
    days = config.value_horizon_days
    money = purchases.within(rows, days, 0, days, config.annual_discount, money=True)
    return np.asarray(np.maximum(money, 0.0) * config.margin)


def _baselines(
    panel: Panel, models: Models, predicted: Predictions
) -> list[tuple[str, str, Array]]:
    """Return the clv by simple methods: name, label and money of the buyers."""
    config, columns, base = models.config, predicted.columns, models.base
    days, rate = config.value_horizon_days, config.annual_discount
    spend, T = (panel.now.features[name][predicted.buyers] for name in ("spend", "T_days"))
    # the spend of the last so many days again, or of as many as there were
    known = np.clip(T, 1.0, None)
    again = spend * np.minimum(days / known, 1.0) if days != 365 else columns["spend_365d"]
    baselines = [("last_year", "the spend of the last year again", again * config.margin)]
    per_order = None if base is None else base.spend_per_order(columns)
    if base is None or per_order is None:
        return baselines
    history = columns["frequency"], columns["t_x_days"], columns["T_days"]
    try:
        bg_nbd = fit("bg_nbd", *history)
        orders = bg_nbd.expected_orders_discounted(days, *history, rate)
        label = "BG/NBD x Gamma-Gamma"
        baselines.append(("bg_nbd", label, orders * per_order * config.margin))
    except FitError:
        pass
    for model in base.models:
        if model.name == "pareto_nbd":
            orders = model.expected_orders_discounted(days, *history, rate)
            label = "Pareto/NBD x Gamma-Gamma"
            baselines.append(("pareto_nbd", label, orders * per_order * config.margin))
    return baselines


def _figures(name: str, label: str, expected: Array, observed: Array) -> SpendFigures:
    return SpendFigures(
        name=name,
        label=label,
        mae=float(np.abs(observed - expected).mean()),
        rank_correlation=metrics.finite(metrics.rank_correlation(observed, expected)),
        predicted_total=float(expected.sum()),
        actual_total=float(observed.sum()),
    )


def _tenths(expected: Array, observed: Array) -> tuple[ValueTenth, ...]:
    """Return the mean of expectation and outcome in tenths of the customers, lowest first."""
    order = np.argsort(expected, kind="stable")
    return tuple(
        ValueTenth(len(rows), float(expected[rows].mean()), float(observed[rows].mean()))
        for rows in np.array_split(order, 10)
        if len(rows)
    )
