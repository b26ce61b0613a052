"""Fitting of the factors of the spend per order: within the horizon, and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.blend import beyond_chance
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_customer_base import usual_range
from stagecast.training.learners.fit_factor import (
    LEVEL_SPREAD,
    Rows,
    fit_factor_and_before,
    level_and_variance,
    shrunk_level,
)
from stagecast.training.panel import Frame
from stagecast.training.value.bought import earlier_dates, rows_of, those_who_bought, with_purchases
from stagecast.training.value.fit_later_spend import fit_later_spend
from stagecast.training.value.model import ValueModel
from stagecast.training.value.own_regressors import with_own_regressors
from stagecast.training.value.spans import Purchases
from stagecast.training.value.times import Times

# Share of the level of spend per order of the newest date, in logs, that is carried over where no
# season is known.
DRIFT_CARRIED: Final = 0.5
# Amounts of more than this factor of the expectation count as that many, unless they are usual in
# the log: a typing error must not move the spend of others. In a shop of dear goods with cheap
# parts, an amount 30 times what is expected of a customer is usual.
MAX_SURPRISE: Final = 10.0
# A smaller part of the expectation counts as this one: money is above 0 in the deviance.
LEAST_PART: Final = 1e-3


@dataclass(frozen=True)
class SpendTeaching:
    """What the factors of the spend learn from.

    Parameters
    ----------
    dates, seasons
        Frames of buyers at all past dates and at those of the same season in past years, newest
        first.
    newest
        The customer base of the as_of, whose model of spend is corrected at all dates: the levels
        of dates with a model of their own each differ by how far each model is off, and not by the
        prices.
    purchases
        Every purchase day known at the as_of.
    as_of
        First instant of the horizon.
    """

    dates: Sequence[Frame]
    seasons: Sequence[Frame]
    newest: CustomerBase | None
    purchases: Purchases
    as_of: datetime


@dataclass(frozen=True)
class SpendFactors:
    """Fitted factors of the spend per order.

    Parameters
    ----------
    within
        Of the horizon, at the level of the season or of the newest date.
    before
        The same as it stood before the newest date, see :func:`fit_factor_and_before`.
    later
        :attr:`ValueModel.later_spend`.
    """

    within: Factor
    before: Factor
    later: Factor | None


def fit_spend(teaching: SpendTeaching, model: ValueModel, config: TrainConfig) -> SpendFactors:
    """Fit the factors of the spend per order that a value model without them expects."""
    amounts = teaching.purchases.days.spend
    usual = usual_range(amounts[amounts > 0])[1] if (amounts > 0).any() else 0.0

    def so_far(frame: Frame) -> Array:
        return model.spend_so_far(frame.columns, teaching.newest)

    def bounded(per_order: Array, expected: Array) -> Array:
        most = np.maximum(expected * MAX_SURPRISE, usual)
        return np.clip(per_order, expected * LEAST_PART, most)

    def rows_of_dates(frames: Sequence[Frame]) -> Rows:
        expected, outcome, orders = [], [], []
        for frame, rows in zip(frames, those_who_bought(frames), strict=True):
            expected.append(so_far(frame)[rows])
            outcome.append(bounded(frame.spend[rows] / frame.orders[rows], expected[-1]))
            orders.append(frame.orders[rows])
        return rows_of(frames, expected, outcome, np.sqrt(np.concatenate(orders)))

    dates = with_purchases(teaching.dates)
    rows, earlier = rows_of_dates(dates), earlier_dates(dates, config.horizon_days)
    earlier_rows = rows_of_dates(earlier) if earlier else None
    later_rows = rows_of_dates(dates[:1]) if earlier else None
    factor, before = fit_factor_and_before(rows, earlier_rows, later_rows, "gamma", config.seed)
    factor = with_own_regressors(
        factor, config.members.spend, rows, earlier_rows, later_rows, "gamma", config.seed
    )

    def level(frames: Sequence[Frame], factor: Factor, spread: float) -> float:
        part = rows_of_dates(frames)
        orders = part.weight**2
        expected = orders * part.start * factor.of(part.columns, expected=part.start)
        return shrunk_level(orders * part.outcome, expected, spread)

    factor = replace(factor, level=level(dates, factor, LEVEL_SPREAD))
    # regressors of the user take their share of the horizon's alone
    later = (
        None
        if factor.own is not None
        else fit_later_spend(
            teaching.dates,
            teaching.purchases,
            so_far,
            rows,
            bounded,
            config,
        )
    )
    seasons = with_purchases(teaching.seasons)
    belief = 1.0
    if seasons:
        of_seasons = rows_of_dates(seasons)
        belief = _belief_in_level(
            of_seasons, factor.of(of_seasons.columns, expected=of_seasons.start)
        )
    times = Times(level, dates, seasons, teaching.as_of, config, DRIFT_CARRIED, belief)
    carried = float(np.exp(times.carried(factor)))
    return SpendFactors(replace(factor, level=factor.level * carried), before, later)


def _belief_in_level(rows: Rows, factor: Array) -> float:
    """Return how far the level of rows is believed: as far as it is beyond chance, 0 to 1.

    A few dear orders make the level of a season a matter of chance.
    """
    orders = rows.weight**2
    level, variance = level_and_variance(
        orders * rows.outcome, orders * rows.start * factor, rows.customer
    )
    return float(beyond_chance(level, variance)) if np.isfinite(level) else 0.0
