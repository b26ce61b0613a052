"""Fitting of :class:`stagecast.training.value.prices.PriceTrend`: what the same customers pay.

    log(spend on a purchase day)  =  customer + month of the year + g * (whole years to the as_of)

Years and their twelve parts are counted back from the as_of, so that g is told by the same season
of several years, and a season that comes back every year is none of it. Customers are compared with
themselves alone: a shop that attracts other customers than before has no trend of prices. First
purchases are left out, as they are in the Gamma-Gamma model, since many shops begin with a large or
a small one.

The regression is Huber's, so that an amount far from what a customer pays has a bounded influence.
The variance is the sum of that with customers as clusters and of that with months as clusters, the
latter because an assortment can change for all customers in a month. The trend is believed as far
as it is beyond chance.

Sources: Huber (1981), Robust Statistics, 7.8 (pseudo-values); Cameron, Gelbach and Miller (2011),
clusters of two kinds (their third term is left out, which only makes the variance larger).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.blend import beyond_chance
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.prices import MAX_DAYS, MAX_YEARLY, NO_TREND, YEAR_DAYS, PriceTrend
from stagecast.training.value.spans import Purchases

PARTS: Final = 12
"""Parts of a year that are compared with themselves."""
FEWEST_MONTHS: Final = 3
"""A trend needs so many months more than the regression has parameters for them."""
FEWEST_CUSTOMERS: Final = 30
MAX_ROWS: Final = 400_000
HUBER: Final = 1.5
"""Robust standard deviations from which on a deviation counts as one of this size."""
LEAST_SCALE: Final = 0.01
"""Where amounts hardly vary, deviations are judged by this standard deviation, in logs."""
STEPS: Final = 30
CONVERGED: Final = 1e-5


@dataclass(frozen=True)
class Estimate:
    """A yearly trend in logs, and its sampling variance."""

    yearly: float
    variance: float

    @property
    def believed(self) -> float:
        """The trend as far as it is beyond chance, at most ``MAX_YEARLY`` on either side."""
        share = beyond_chance(self.yearly, self.variance)
        return float(np.clip(share * self.yearly, -MAX_YEARLY, MAX_YEARLY))


def fit_prices(
    purchases: Purchases,
    base: CustomerBase | None,
    now: Mapping[str, Array],
    history_days: float,
    horizon_days: int,
) -> PriceTrend:
    """Return the trend of the prices; none where none is beyond chance.

    Parameters
    ----------
    purchases
        Every purchase day known at the as_of.
    base
        The customer base of the as_of; without its model of spend there is no trend.
    now
        Features of the buyers at the as_of, shape (n_buyers,) each.
    history_days, horizon_days
        Days from the first event to the as_of, and days of the horizon.
    """
    paid = (np.nan_to_num(now["spend_mean"]) > 0) & (now["frequency"] > 0)
    if base is None or base.spend is None or not paid.any():
        return NO_TREND
    estimate = yearly_trend(purchases, history_days)
    if estimate is None or not estimate.believed:
        return NO_TREND
    age = np.minimum((now["T_days"] - now["t_x_days"] / 2.0)[paid], MAX_DAYS)
    mean_day = float((now["first_day"] + now["T_days"])[paid].max() - age.mean())
    return PriceTrend(estimate.believed, mean_day, min(float(horizon_days), YEAR_DAYS) / 2.0)


def yearly_trend(purchases: Purchases, history_days: float) -> Estimate | None:
    """Return the trend of what a customer pays on a repeat purchase day; None where it is not told.

    Parameters
    ----------
    purchases
        Every purchase day known at the as_of.
    history_days
        Days from the first event to the as_of. Of them, whole months within three years are used;
        fewer than sixteen say nothing.
    """
    days, month_days = purchases.days, YEAR_DAYS / PARTS
    months = int(min(history_days, MAX_DAYS) / month_days + 1e-9)
    if months < PARTS + 1 + FEWEST_MONTHS:
        return None
    month = np.floor(np.maximum(purchases.as_of_day - days.day - 1.0, 0.0) / month_days)
    is_first = np.append(True, days.customer[1:] != days.customer[:-1])
    used = np.flatnonzero((days.spend > 0) & ~is_first & (month < months))
    customer, used = _several(days.customer[used], used)
    if not len(used) or customer[-1] + 1 < FEWEST_CUSTOMERS:
        return None
    return _regression(np.log(days.spend[used]), customer, month[used].astype(np.int64))


def _several(
    customer: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return customers with several of the rows, numbered from 0, and their rows.

    Of every k-th customer, so that about ``MAX_ROWS`` rows remain.
    """
    _, position, count = np.unique(customer, return_inverse=True, return_counts=True)
    chosen = (count[position] > 1) & (position % max(1, -(-len(rows) // MAX_ROWS)) == 0)
    return np.unique(position[chosen], return_inverse=True)[1], rows[chosen]


def _regression(
    amount: Array, customer: NDArray[np.int64], month: NDArray[np.int64]
) -> Estimate | None:
    """Return the trend of logs of amounts, shape (rows,).

    ``customer`` numbers the customers from 0, ``month`` the months back from the as_of.
    """
    count = np.bincount(customer)

    def centred(values: Array) -> Array:
        """Return values less the mean of their customer."""
        return values - (np.bincount(customer, weights=values) / count)[customer]

    part, year = month % PARTS, -(month // PARTS).astype(np.float64)
    columns = [centred((part == k).astype(np.float64)) for k in np.unique(part)[1:]]
    columns.append(centred(year))
    design = np.column_stack(columns)
    inverse = np.linalg.pinv(design.T @ design, hermitian=True)
    # the years as far as neither customers nor seasons tell them
    seasons = design[:, :-1]
    direction = columns[-1] - seasons @ np.linalg.lstsq(seasons, columns[-1], rcond=None)[0]
    if float(direction @ direction) < 1e-6 * len(direction):
        return None
    level = amount - centred(amount)
    slopes = inverse @ (design.T @ centred(amount))
    deviation, limit = amount - level - design @ slopes, np.inf
    for _ in range(STEPS):
        limit = HUBER * max(float(np.median(np.abs(deviation))) / 0.6745, LEAST_SCALE)
        bounded = np.clip(deviation, -limit, limit)
        before = slopes[-1]
        moved = bounded - centred(bounded)
        step = inverse @ (design.T @ centred(bounded))
        level, slopes = level + moved, slopes + step
        deviation = amount - level - design @ slopes
        if abs(slopes[-1] - before) < CONVERGED:
            break
    influence = np.clip(deviation, -limit, limit) * direction
    inside = np.abs(deviation) <= limit
    slope = float((direction[inside] ** 2).sum())
    if slope <= 0.0:
        return None
    by_customer, by_month = (
        float((np.bincount(cluster, weights=influence) ** 2).sum()) for cluster in (customer, month)
    )
    months = len(np.unique(month))
    if months < PARTS + 1 + FEWEST_MONTHS:
        return None
    by_month *= months / (months - PARTS - 1)
    return Estimate(float(slopes[-1]), (by_customer + by_month) / slope**2)
