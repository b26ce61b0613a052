"""Fitting of :class:`stagecast.training.learners.seasonal_buyers.SeasonalBase`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from stagecast.features.arrays import Array, Integers
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.calendar import YEAR
from stagecast.training.billing.payments import Payments
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.btyd.once_a_season import PARTS, OnceASeason
from stagecast.training.learners.customer_base import HISTORY, CustomerBase
from stagecast.training.learners.fit_customer_base import fit_customer_base
from stagecast.training.learners.seasonal_buyers import READS, Season, SeasonalBase

FEWEST: Final = 30
"""Seasonal customers with a repeat purchase, below which nothing is said of a season."""
LEAST_SHARE: Final = 0.5
"""Least share of the repeat buyers who are seasonal: elsewhere it is a season of a shop."""
SAME: Final = 0.5
"""Share of the later purchases that cost as much as the one before, from which on they are payments
of a price, whose dates tell more than a season does."""
HALF_A_YEAR: Final = 182.0
"""Gaps of who buys once a year are longer."""
INSIDE: Final = 0.98
"""Share of the purchases of who buys once a year that a season holds."""
LONGEST: Final = 120.0
"""Days of the longest season."""
MARGIN: Final = 1.5
"""Days by which a season is longer than what was seen of it, on either side."""
_BOUNDS: Final = (np.log(0.05), np.log(200.0))
_START: Final = (1.0, 1.0, 0.5, 3.0)
_RIDGE: Final = 0.05
"""Pull of the logs of the parameters to those of the start, in nats for one of them: a log without
those who leave has no estimate of how alike customers are in it."""


def with_season_of_buyers(
    base: CustomerBase,
    features: Mapping[str, Array],
    customers: Integers,
    days: PurchaseDays,
    max_customers: int,
    names: Sequence[str],
) -> CustomerBase:
    """Return the customer base with seasonal customers; as it is where most are not.

    Parameters
    ----------
    base
        The customer base of one date, without plans.
    features
        Features of its buyers, shape (n_buyers,) each.
    customers
        Their numbers in ``days``, shape (n_buyers,).
    days
        The purchase days known at the date.
    max_customers
        About how many customers the models of the others are fitted on.
    names
        The models that are fitted.
    """
    if base.due is not None or any(name not in features for name in READS):
        return base
    bought = Payments.of_customers(days)
    season = find_season(bought)
    if season is None:
        return base
    seasonal = season.is_seasonal(features)
    repeats = features["frequency"] > 0
    of_repeats = int((seasonal & repeats).sum())
    if of_repeats < FEWEST or of_repeats < LEAST_SHARE * repeats.sum():
        return base
    rows = np.flatnonzero(seasonal)
    own = {name: features[name][rows] for name in (*HISTORY, *READS)}
    inside = np.isin(bought.customer, customers[rows])
    as_of = float((own["first_day"] + own["T_days"])[0])
    once = fit_once(season, own, days_of_season(season, bought.day[inside], as_of))
    return SeasonalBase(
        base.models,
        base.spend,
        base.weights,
        season=season,
        once=once,
        others=_others(base, features, customers, ~seasonal, days, max_customers, names),
    )


def pays_prices(days: PurchaseDays) -> bool:
    """Return whether most purchases cost as much as the one before, as payments of a price do."""
    bought = Payments.of_customers(days)
    later = bought.number > 1
    return bool(later.any()) and float(bought.same_price[later].mean()) >= SAME


def find_season(bought: Payments) -> Season | None:
    """Return the season in which customers buy who do so once a year; None without one.

    Parameters
    ----------
    bought
        The purchase days of the log, grouped by customer.
    """
    shortest = np.full(1 + int(bought.contract.max(initial=-1)), np.inf)
    gaps = np.where(bought.number > 1, bought.gap_before, np.inf)
    np.minimum.at(shortest, bought.contract, gaps)
    yearly = (shortest > HALF_A_YEAR) & np.isfinite(shortest)
    if yearly.sum() < max(FEWEST, LEAST_SHARE * np.isfinite(shortest).sum()):
        return None
    day = bought.day[yearly[bought.contract]]
    angle = 2.0 * np.pi * np.mod(day, YEAR) / YEAR
    middle = float(np.angle(np.exp(1.0j * angle).mean())) / (2.0 * np.pi) * YEAR
    away = np.mod(day - middle + YEAR / 2.0, YEAR) - YEAR / 2.0
    tail = (1.0 - INSIDE) / 2.0
    low, high = np.quantile(away, (tail, 1.0 - tail))
    length = float(high - low) + 2.0 * MARGIN
    if length > LONGEST:
        return None
    # a day earlier or later changes no bundle where a log has grown by a week
    return Season(round(float(np.mod(middle + low - MARGIN, YEAR)), 2), round(length, 2))


def days_of_season(season: Season, day: Array, as_of_day: float) -> tuple[float, ...]:
    """Return the ends of parts of a season that hold equally many purchases.

    Those of the season that is not over tell only of its beginning, and do not count.

    Parameters
    ----------
    season
        The season.
    day
        Purchase days of seasonal customers, since 1970, shape (n,).
    as_of_day
        The as_of.
    """
    newest = season.year(np.array([as_of_day]))[0]
    if season.into(np.array([as_of_day]))[0] > season.length:
        newest += 1.0
    into = season.into(day[season.year(day) < newest])
    into = into[into <= season.length]
    if len(into) < PARTS:
        return tuple(np.linspace(0.0, season.length, PARTS + 1).round(4).tolist())
    inner = np.quantile(into, np.linspace(0.0, 1.0, PARTS + 1)[1:-1])
    ends = np.r_[0.0, inner, season.length + 1.0]
    least = 0.01 * np.arange(PARTS + 1)  # days of the year are whole; parts must not be empty
    ends = np.minimum(np.maximum.accumulate(ends) + least, season.length + 1.0 + least[-1])
    return tuple(ends.round(4).tolist())


def fit_once(season: Season, own: Mapping[str, Array], days: tuple[float, ...]) -> OnceASeason:
    """Return the likeliest model of seasonal customers.

    Parameters
    ----------
    season
        The season.
    own
        Histories and :data:`READS` of seasonal customers, shape (rows,) each.
    days
        What :func:`days_of_season` returns.
    """
    histories = season.histories(own)
    rows = np.column_stack([histories[name] for name in HISTORY])
    distinct, count = np.unique(rows, axis=0, return_counts=True)
    start = np.log(_START)

    def model(theta: Array) -> OnceASeason:
        alpha, beta, gamma, delta = np.exp(theta).tolist()
        return OnceASeason.of((alpha, beta, gamma, delta), days, 0.0, len(rows))

    def loss(theta: Array) -> float:
        density = model(theta).log_likelihood_of(*distinct.T)
        return -float(count @ density) + _RIDGE * float(((theta - start) ** 2).sum())

    found = minimize(loss, start, method="L-BFGS-B", bounds=[_BOUNDS] * 4)
    alpha, beta, gamma, delta = (float(f"{value:.8g}") for value in np.exp(found.x))
    density = float(count @ model(found.x).log_likelihood_of(*distinct.T))
    return OnceASeason.of((alpha, beta, gamma, delta), days, float(f"{density:.8g}"), len(rows))


def _others(
    base: CustomerBase,
    features: Mapping[str, Array],
    customers: Integers,
    chosen: NDArray[np.bool_],
    days: PurchaseDays,
    max_customers: int,
    names: Sequence[str],
) -> CustomerBase | None:
    """Return the models of the customers who are not seasonal; None where they are too few."""
    rows = np.flatnonzero(chosen)
    own = {name: features[name][rows] for name in (*HISTORY, "monetary")}
    most = 1 + int(max(days.customer.max(initial=0), customers.max(initial=0)))
    gaps = LogGaps.of(days.customer, days.day, most).of_rows(customers[rows])
    try:
        fitted = fit_customer_base(own, None, max_customers, gaps, names)
    except FitError:
        return None
    same = [model.name for model in fitted.models] == [model.name for model in base.models]
    return fitted if same else None
