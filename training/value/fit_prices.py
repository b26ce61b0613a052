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

What customers pay can also change with the time since they came: who bought a bicycle buys another
after three years. Within customers, that cannot be told from prices. First purchases can tell it,
which are all of one age: the trend of what they cost is estimated in the same way, without
customers. Only a trend that both tell is one of prices. As far as the two differ beyond chance, it
is that of the first purchases, but never larger than within customers. A price that rose once is
no trend: as far as the newest two years tell another one than the two before, none is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS
from stagecast.training.learners.blend import beyond_chance
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.prices import MAX_DAYS, MAX_YEARLY, NO_TREND, PriceTrend
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
LEAST_YEARLY: Final = 0.005
"""A smaller trend, in logs a year, is none: it would change every number and no decision."""
STEPS: Final = 30
CONVERGED: Final = 1e-5


@dataclass(frozen=True)
class Estimate:
    """A yearly trend in logs, and its sampling variance."""

    yearly: float
    variance: float

    def agreed(self, of_first: Estimate) -> float:
        """Return the trend within customers as far as first purchases tell it as well.

        >>> within = Estimate(0.25, 0.0004)
        >>> within.agreed(Estimate(0.0, 0.0001)), within.agreed(Estimate(-0.2, 0.0001))
        (0.0, 0.0)
        >>> round(within.agreed(Estimate(0.1, 0.0001)), 2)
        0.11
        >>> within.agreed(Estimate(0.22, 0.0004)) == within.believed
        True
        """
        believed = self.believed
        if believed * of_first.believed <= 0.0:
            return 0.0
        difference = self.yearly - of_first.yearly
        less = beyond_chance(difference, self.variance + of_first.variance) * difference
        agreed = float(np.clip(believed - less, min(believed, 0.0), max(believed, 0.0)))
        return agreed if abs(agreed) >= LEAST_YEARLY else 0.0

    @property
    def believed(self) -> float:
        """The trend as far as it is beyond chance, at most ``MAX_YEARLY`` on either side."""
        believed = beyond_chance(self.yearly, self.variance) * self.yearly
        if abs(believed) < LEAST_YEARLY:
            return 0.0
        return float(np.clip(believed, -MAX_YEARLY, MAX_YEARLY))


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
    within = yearly_trend(purchases, history_days)
    if within is None or not within.believed:
        return NO_TREND
    of_first = yearly_trend(purchases, history_days, of_first=True)
    yearly = 0.0 if of_first is None else within.agreed(of_first)
    yearly = _of_both_years(yearly, purchases, history_days)
    if not yearly:
        return NO_TREND
    age = np.minimum((now["T_days"] - now["t_x_days"] / 2.0)[paid], MAX_DAYS)
    as_of_day = float((now["first_day"] + now["T_days"])[0])
    mean_day = as_of_day - float(age.mean())
    return PriceTrend(yearly, mean_day, min(float(horizon_days), YEAR_DAYS) / 2.0)


def yearly_trend(
    purchases: Purchases,
    history_days: float,
    *,
    of_first: bool = False,
    first_month: int = 0,
    last_month: int = 3 * PARTS,
) -> Estimate | None:
    """Return the trend of what a customer pays on a repeat purchase day; None where it is not told.

    Parameters
    ----------
    purchases
        Every purchase day known at the as_of.
    history_days
        Days from the first event to the as_of. Of them, whole months within three years are used;
        fewer than sixteen say nothing.
    of_first
        Whether to return the trend of what first purchases cost instead, of all customers.
    first_month, last_month
        Months back from the as_of between which purchases count.
    """
    days, month_days = purchases.days, YEAR_DAYS / PARTS
    months = min(int(min(history_days, MAX_DAYS) / month_days + 1e-9), last_month)
    if months - first_month < PARTS + 1 + FEWEST_MONTHS:
        return None
    month = np.floor(np.maximum(purchases.as_of_day - days.day - 1.0, 0.0) / month_days)
    is_first = np.diff(days.customer, prepend=-1) != 0
    used = np.flatnonzero((days.spend > 0) & (is_first == of_first) & (month < months))
    used = used[month[used] >= first_month]
    customer, used = _sampled(days.customer[used], used, 1 if of_first else 2)
    if not len(used) or customer[-1] + 1 < FEWEST_CUSTOMERS:
        return None
    level = np.zeros_like(customer) if of_first else customer
    return _regression(np.log(days.spend[used]), level, customer, month[used].astype(np.int64))


def _of_both_years(yearly: float, purchases: Purchases, history_days: float) -> float:
    """Return the trend less that by which the newest two years differ from the two before.

    A price that rose once is in one of them alone, and will not rise again for that. As far as the
    two differ beyond chance, none is believed. In a younger log it cannot be told, nor of a rise in
    the year that both have in common.
    """
    newer = yearly_trend(purchases, history_days, last_month=2 * PARTS)
    older = yearly_trend(purchases, history_days, first_month=PARTS)
    if not yearly or newer is None or older is None:
        return yearly
    difference = newer.yearly - older.yearly
    less = beyond_chance(difference, newer.variance + older.variance) * abs(difference)
    steady = float(np.sign(yearly)) * max(abs(yearly) - less, 0.0)
    return steady if abs(steady) >= LEAST_YEARLY else 0.0


def _sampled(
    customer: NDArray[np.int64], rows: NDArray[np.int64], fewest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return customers with at least so many of the rows, numbered from 0, and their rows.

    Of every k-th customer, so that about ``MAX_ROWS`` rows remain.
    """
    _, position, count = np.unique(customer, return_inverse=True, return_counts=True)
    every = max(1, -(-len(rows) // MAX_ROWS))
    chosen = (count[position] >= fewest) & (position % every == 0)
    return np.unique(position[chosen], return_inverse=True)[1], rows[chosen]


def _regression(
    amount: Array,
    group: NDArray[np.int64],
    customer: NDArray[np.int64],
    month: NDArray[np.int64],
) -> Estimate | None:
    """Return the trend of logs of amounts, shape (rows,).

    Parameters
    ----------
    amount
        Logs of amounts.
    group
        Numbers, from 0, of what has a level of its own.
    customer
        Customers, numbered from 0.
    month
        Months back from the as_of.
    """
    count = np.bincount(group)

    def centred(values: Array) -> Array:
        """Return values less the mean of their group."""
        return values - (np.bincount(group, weights=values) / count)[group]

    part, year = month % PARTS, -(month // PARTS).astype(np.float64)
    columns = [centred((part == k).astype(np.float64)) for k in np.unique(part)[1:]]
    columns.append(centred(year))
    design = np.column_stack(columns)
    inverse = np.linalg.pinv(design.T @ design, hermitian=True)
    # the years as far as neither groups nor seasons tell them
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
