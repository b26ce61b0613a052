"""Factor of the orders in the rest of the value horizon, learned at past dates far enough back.

A date teaches the whole value horizon where that horizon has passed since. In a younger log the
longest span that has passed stands for it, and counts the less the shorter it is. Where the same
season of past years is known, and its level differs from that of the other dates by more than
chance, the level is its level, and the trees do not learn the levels of dates. Elsewhere they do:
by how long customers have been known, they tell where the level is going.

Where customers have plans, a payment of another price counts as many of the price that is expected:
who changes from months to a year pays once for ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS
from stagecast.training.config import TrainConfig
from stagecast.training.learners.blend import SEASON_SPREAD, beyond_chance, carried_share
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import (
    LEVEL_SPREAD,
    Rows,
    fit_factor,
    level_and_variance,
    shrunk_level,
)
from stagecast.training.learners.plans import PlannedBase
from stagecast.training.panel import Frame, learnable, stack, thinned, varying
from stagecast.training.value.ahead import own_rate, rest_within_own_rate
from stagecast.training.value.model import discounted_days, rest_by_base
from stagecast.training.value.spans import Purchases

# Least number of customers of a date.
FEWEST_CUSTOMERS: Final = 60
# Share of the level of one past year, in logs, that is carried over; of several years more.
CARRIED: Final = 0.75
# Standard deviation of the log of the level among logs of customers who pay a price at regular
# gaps, or buy in a known season: of the year ahead all is known but who leaves, and a past date had
# seen fewer who did.
ON_DATES_SPREAD: Final = 0.03
# About how many rows teach.
MAX_ROWS: Final = 50_000


def far_dates(dates: Sequence[Frame], config: TrainConfig) -> tuple[list[Frame], int]:
    """Return the dates that teach, newest first, and the span after them in days.

    The span is the value horizon, or the longest that has passed since a date; it is at least two
    horizons. Without such a date the list is empty.
    """
    usable = [
        frame
        for frame in dates
        if frame.back >= 2 * config.horizon_days and len(frame) >= FEWEST_CUSTOMERS
    ]
    if not usable or config.value_horizon_days <= config.horizon_days:
        return [], config.value_horizon_days
    span = min(config.value_horizon_days, max(frame.back for frame in usable))
    return [frame for frame in usable if frame.back >= span], span


@dataclass(frozen=True)
class Rest:
    """What past dates teach of the rest of the value horizon.

    Parameters
    ----------
    factor
        :attr:`ValueModel.rest`.
    season
        :attr:`ValueModel.rest_season`.
    """

    factor: Factor
    season: float = 1.0


@dataclass(frozen=True)
class _Date:
    """Orders of the customers of a date, in the rest of its value horizon, discounted, (rows,).

    ``most`` is what a customer's own rate lets expect, see :func:`own_rate`; the rate of the
    horizon is that of the customer base.
    """

    frame: Frame
    outcome: Array
    expected: Array
    most: Array

    def corrected(self, factor: Factor) -> Array:
        """Return the expectation, corrected, within each customer's own rate, shape (rows,)."""
        of_each = factor.of(self.frame.columns)
        return rest_within_own_rate(self.expected, of_each, self.most, 1.0, 1.0)


def fit_rest(
    dates: Sequence[Frame],
    bases: Mapping[int, CustomerBase],
    purchases: Purchases,
    config: TrainConfig,
    seasons: Sequence[Frame] = (),
    off: Mapping[int, float] = MappingProxyType({}),
    spread: float = LEVEL_SPREAD,
) -> Rest:
    """Return the factor of the rest; 1 where no date is far enough back.

    Parameters
    ----------
    dates
        Frames of buyers, newest first.
    bases
        Days before the as_of -> customer base of that date.
    purchases
        Every purchase day known at the as_of.
    config
        Settings of the training.
    seasons
        The dates of the season of the as_of in past years; empty where there is none.
    off
        Days before the as_of -> factor by which the customer base of that date is off, such as by a
        peak that it took for usual; 1 where it is missing.
    spread
        Standard deviation of the log of the level among such logs.
    """
    frames, span = far_dates([frame for frame in dates if frame.back in bases], config)
    frames = thinned(frames, MAX_ROWS) if frames else []
    if not frames:
        return Rest(Factor())
    past = [_past(frame, bases[frame.back], purchases, span, config) for frame in frames]
    past = [
        replace(date, expected=date.expected * off[date.frame.back])
        if date.frame.back in off
        else date
        for date in past
    ]
    share = span / config.value_horizon_days
    of_season = {frame.back for frame in seasons if share == 1.0}
    of_years = [date for date in past if date.frame.back in of_season]
    belief = _belief_in_season(of_years, past, config.horizon_days)
    # where the season is believed, the trees start at the level of each date and do not learn it
    levels = [
        shrunk_level(date.outcome, date.expected, SEASON_SPREAD) ** belief if belief else 1.0
        for date in past
    ]
    columns, sizes = stack(frames), [len(frame) for frame in frames]
    rows = Rows(
        columns,
        learnable(frames, varying(frames, list(columns))),
        np.concatenate([date.expected for date in past]) * np.repeat(levels, sizes),
        np.concatenate([date.outcome for date in past]),
        np.ones(sum(sizes)),
        np.concatenate([frame.customer for frame in frames]),
    )
    factor = fit_factor(rows, None, None, "poisson", config.seed)

    def log_level(of: Sequence[_Date]) -> float:
        expected = np.concatenate([date.corrected(factor) for date in of])
        outcome = np.concatenate([date.outcome for date in of])
        return float(np.log(shrunk_level(outcome, expected, spread)))

    # a span shorter than a year has the level of its season
    usual = CARRIED * min(1.0, span / YEAR_DAYS) ** 2 * log_level(past)
    of_this_season = 0.0
    if belief > 0:
        logs = [log_level([date]) for date in of_years]
        # a customer base of few customers who had been known for a short time errs in its own way
        known = [date.frame.columns["T_days"].sum() for date in of_years]
        of_this_season = carried_share(CARRIED, logs) * float(np.average(logs, weights=known))
    level = float(np.exp((1.0 - belief) * usual + belief * of_this_season))
    season = float(np.exp(max(0.0, belief * of_this_season)))
    return Rest(replace(factor, power=factor.power * share, level=level), season)


def _past(
    frame: Frame, base: CustomerBase, purchases: Purchases, span: int, config: TrainConfig
) -> _Date:
    near, rate = config.horizon_days, config.annual_discount
    outcome = purchases.within(frame.customer, frame.back, near, span, rate)
    if isinstance(base, PlannedBase):
        (price,) = base.prices(frame.columns, np.full(len(outcome), np.nan), (span,))
        money = purchases.within(frame.customer, frame.back, near, span, rate, money=True)
        is_price = np.nan_to_num(price) > 0
        outcome = np.where(is_price, money / np.where(is_price, price, 1.0), outcome)
    return _Date(frame, outcome, *expected_and_most(base, frame.columns, near, span, rate))


def expected_and_most(
    base: CustomerBase, columns: Mapping[str, Array], near: int, far: int, rate: float
) -> tuple[Array, Array]:
    """Return the orders between two spans by the customer base, and those of the own rate, (rows,).

    Parameters
    ----------
    base
        The customer base of these buyers.
    columns
        Their columns, shape (rows,) each.
    near, far
        Days of the spans.
    rate
        Annual rate of the discount.
    """
    in_near = base.discounted_orders(near, columns, 0.0)
    to_near, to_far = discounted_days(np.array([near, far], dtype=np.float64), rate)
    own = own_rate(columns["frequency"] + 1.0, columns["T_days"], in_near, near)
    return rest_by_base(base, columns, near, far, rate), own * float(to_far - to_near)


def _belief_in_season(of_years: Sequence[_Date], past: Sequence[_Date], horizon_days: int) -> float:
    """Return how far the level of the season of past years is believed, 0 to 1.

    It is believed as far as it differs from that of the other dates beyond chance, see
    :func:`~stagecast.training.learners.blend.beyond_chance`, and not at all where there is no other
    date to compare it with.
    """
    others = [
        date
        for date in past
        if all(abs(date.frame.back - year.frame.back) >= horizon_days for year in of_years)
    ]
    if not of_years or not others:
        return 0.0
    logs, variances = zip(*(_level(group) for group in (of_years, others)), strict=True)
    difference, variance = logs[0] - logs[1], sum(variances)
    return float(beyond_chance(difference, variance)) if np.isfinite(difference) else 0.0


def _level(past: Sequence[_Date]) -> tuple[float, float]:
    """Return the level of dates together and its variance, see :func:`level_and_variance`."""
    return level_and_variance(
        np.concatenate([date.outcome for date in past]),
        np.concatenate([date.expected for date in past]),
        np.concatenate([date.frame.customer for date in past]),
    )
